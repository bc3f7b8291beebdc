"""Questions and answers on one link, many at a time."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable, Coroutine
from enum import IntEnum
from typing import Any

import msgspec

from hiveminddb.errors import HiveMindError, InvalidFrame, OutcomeUnknown, TooLarge, Unavailable
from hiveminddb.sync.frames import MAX_PAYLOAD

# How many questions of one peer are answered at a time; more are refused.
MAX_RUNNING = 128

# A peer may not keep us busy for longer than this, whatever it asks for.
MAX_SECONDS = 120.0

_LONGEST = 0xFFFFFFFF

_HEAD = struct.Struct(">BII")  # kind, id, milliseconds the asker waits

Answer = Callable[[bytes], Awaitable[bytes]]


class _Kind(IntEnum):
    QUESTION = 0
    ANSWER = 1
    FAILURE = 2


class _Failure(msgspec.Struct, array_like=True, frozen=True):
    code: str
    message: str
    hint: str


_failures = msgspec.msgpack.Decoder(_Failure)


class Calls:
    """One link's questions, ours and the peer's."""

    def __init__(
        self,
        send: Callable[[bytes], bool],
        answer: Answer | None,
        own: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._send = send
        self._answer = answer
        self._own = own
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._running = 0

    async def ask(self, question: bytes, within: float) -> bytes:
        """The peer's answer `within` seconds.

        Raises what the peer's side raised (a HiveMindError), Unavailable where the question has certainly not left,
        OutcomeUnknown where it has and no answer came.
        """
        if len(question) > MAX_PAYLOAD - _HEAD.size:
            raise TooLarge(f"question of {len(question)} bytes", f"at most {MAX_PAYLOAD - _HEAD.size}")
        number = next(self._ids) & _LONGEST
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            if not self._send(_HEAD.pack(_Kind.QUESTION, number, min(int(within * 1000), _LONGEST)) + question):
                raise Unavailable("the link is full", "try again in a moment")
            async with asyncio.timeout(within):
                return await waiting
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {within:g} s", "look before you ask again") from None
        finally:
            del self._waiting[number]

    def received(self, payload: bytes) -> None:
        """Takes what came on CALL; raises InvalidFrame for what is neither question nor answer."""
        if len(payload) < _HEAD.size or payload[0] > max(_Kind):
            raise InvalidFrame(f"call of {len(payload)} bytes", "neither question nor answer")
        kind, number, milliseconds = _HEAD.unpack_from(payload)
        body = payload[_HEAD.size :]
        if kind == _Kind.QUESTION:
            self._asked(number, body, min(milliseconds / 1000, MAX_SECONDS))
        elif (waiting := self._waiting.get(number)) is not None and not waiting.done():
            self._settle(waiting, kind, body)

    def lost(self) -> None:
        """The link is gone: nobody will answer."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(OutcomeUnknown("the link broke before the answer", "look before you ask again"))

    def _settle(self, waiting: asyncio.Future[bytes], kind: int, body: bytes) -> None:
        if kind == _Kind.ANSWER:
            waiting.set_result(body)
        else:
            waiting.set_exception(_error(body))

    def _asked(self, number: int, question: bytes, within: float) -> None:
        if self._answer is None:
            self._fail(number, Unavailable("nobody answers here", "ask another node"))
        elif self._running >= MAX_RUNNING:
            self._fail(number, Unavailable("too many questions at a time", "try again in a moment"))
        else:
            self._running += 1
            self._own(self._run(self._answer, number, question, within))

    async def _run(self, answer: Answer, number: int, question: bytes, within: float) -> None:
        try:
            async with asyncio.timeout(within) as deadline:
                said = await answer(question)
        except TimeoutError:
            if not deadline.expired():
                raise
        except InvalidFrame:
            raise
        except HiveMindError as error:
            self._fail(number, error)
        else:
            self._reply(number, said)
        finally:
            self._running -= 1

    def _reply(self, number: int, said: bytes) -> None:
        if len(said) > MAX_PAYLOAD - _HEAD.size:
            self._fail(number, TooLarge(f"answer of {len(said)} bytes", f"at most {MAX_PAYLOAD - _HEAD.size}"))
        else:
            self._send(_HEAD.pack(_Kind.ANSWER, number, 0) + said)

    def _fail(self, number: int, error: HiveMindError) -> None:
        failure = _Failure(error.code, error.message, error.hint)
        self._send(_HEAD.pack(_Kind.FAILURE, number, 0) + msgspec.msgpack.encode(failure))


def _error(body: bytes) -> HiveMindError:
    try:
        failure = _failures.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"not a failure: {error}") from error
    return _kinds().get(failure.code, HiveMindError)(failure.message, failure.hint)


def _kinds() -> dict[str, type[HiveMindError]]:
    found: list[type[HiveMindError]] = [HiveMindError]
    for kind in found:
        found += kind.__subclasses__()
    return {kind.code: kind for kind in found}

"""Pairing: a guest and a host that have proved one password to each other introduce themselves, and agree.

After the proof (proof.py) all is sealed with the password's key:

    guest                                   host
                                  <------   Introduction
    Introduction                  ------>                      or Declined, once its user or its rule has looked
                                  <------   Admitted(payload)  or NotAdmitted
    Done                          ------>                      the guest has it, durably

The stream is TLS whose certificates nobody has vouched for. Every message has a size limit and a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Protocol

import msgspec

from hiveminddb.errors import Conflict, HiveMindError, InvalidFrame, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.sync.identity import fingerprint
from hiveminddb.sync.pake import Sealed
from hiveminddb.sync.proof import Door, Guest, Host, Message, Why, decode, encode

# The directory of a large swarm fits; everything else is small.
MAX_FRAME = 1 << 20
SMALL_FRAME = 4096

# A proof costs some milliseconds of computing, for whoever asks: this and the few that may ask at a time bound it.
PAUSE_S = 0.25
# Seconds for the other machine to answer, for a person to look, and for a swarm to admit somebody.
ANSWER_S = 10.0
LOOK_S = 180.0
ADMIT_S = 60.0

_Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Short = Annotated[str, msgspec.Meta(max_length=200)]
_REASON_CHARACTERS = 200


class Introduction(Message, frozen=True, array_like=True, tag="introduction"):
    """Who speaks: a name for people, its swarm, how many memories and nodes come with it, its last fencing token."""

    node: NodeId
    key: _Key
    name: _Short
    swarm: _Short
    memories: _Count
    nodes: _Count
    token: _Count = 0


class Declined(Message, frozen=True, array_like=True, tag="declined"):
    """The guest does not want to, and has not said who it is."""


class Admitted(Message, frozen=True, array_like=True, tag="admitted"):
    """What a new member needs to begin; opaque here."""

    payload: bytes


class NotAdmitted(Message, frozen=True, array_like=True, tag="not_admitted"):
    reason: _Short


class Done(Message, frozen=True, array_like=True, tag="done"):
    """The guest is a member, and will be after a crash too."""


class PairingStream(Protocol):
    """Whole frames to and from a stranger over TLS.

    `read` raises InvalidFrame at a frame over `limit` bytes; both raise EOFError or OSError once the stream is gone.
    """

    @property
    def mine(self) -> bytes:
        """The raw public key that this side showed in the TLS handshake; `theirs` is the other side's."""
        ...

    @property
    def theirs(self) -> bytes: ...

    async def read(self, limit: int) -> bytes: ...

    async def write(self, frame: bytes) -> None: ...


async def join_side(
    stream: PairingStream,
    door: int,
    password: bytes,
    introduce: Callable[[], Awaitable[Introduction]],
    agree: Callable[[Introduction], Awaitable[bool]],
    adopt: Callable[[Introduction, bytes], Awaitable[None]],
) -> Introduction | None:
    """Joins whoever knows the same password; the host's introduction, or None where `agree` said no.

    `agree` may take LOOK_S seconds, and what this node is to leave it leaves there: `introduce` comes after. `adopt`
    makes the payload durable. Raises Forbidden for a wrong password, NotFound
    where nobody opens, Unavailable where the host is busy or gone, Conflict where it does not admit, InvalidFrame.
    """
    guest = Guest(door, password, stream.mine, stream.theirs)
    await _write(stream, guest.hello)
    await _write(stream, guest.prove(await _read(stream)))
    line = _Line(stream, guest.settle(await _read(stream)))
    host = line.genuine(await line.hear(Introduction))
    if not await _in_time(agree(host)):
        await line.say(Declined())
        return None
    await line.say(await introduce())
    verdict: Admitted | NotAdmitted = await line.hear(Admitted | NotAdmitted, ADMIT_S, MAX_FRAME)
    if isinstance(verdict, NotAdmitted):
        raise Conflict(f"not admitted: {_printable(verdict.reason)}", "")
    await adopt(host, verdict.payload)
    await line.say(Done())
    return host


async def invite_side(
    stream: PairingStream,
    doors: Callable[[int], Door | Why],
    me: Introduction,
    admit: Callable[[Introduction], Awaitable[bytes]],
) -> Introduction | None:
    """Lets in a guest that proves a door's password; its introduction once it is in, or None where it did not want.

    `admit` makes the guest a member and returns what it needs to begin; what it raises is told to the guest.
    The guest may be a member already where this ends with Unavailable: its next try is the same try.
    Raises Forbidden for a wrong password, Conflict where there is no such door, InvalidFrame, what `admit` raises.
    """
    host = Host(doors, stream.mine, stream.theirs)
    hello = await _read(stream)
    await asyncio.sleep(PAUSE_S)
    await _write(stream, host.answer(hello))
    host.go_on()
    await _write(stream, host.settle(await _read(stream)))
    host.go_on()
    assert host.sealed is not None
    line = _Line(stream, host.sealed)
    await line.say(me)
    answer: Introduction | Declined = await line.hear(Introduction | Declined, LOOK_S + ANSWER_S)
    if isinstance(answer, Declined):
        return None
    guest = line.genuine(answer)
    try:
        payload = await admit(guest)
    except HiveMindError as error:
        await line.say(NotAdmitted(str(error)[:_REASON_CHARACTERS]))
        raise
    await line.say(Admitted(payload))
    await line.hear(Done, ADMIT_S)
    return guest


class _Line:
    """Sealed messages over a stream."""

    __slots__ = ("_sealed", "_stream")

    def __init__(self, stream: PairingStream, sealed: Sealed) -> None:
        self._stream = stream
        self._sealed = sealed

    async def say(self, message: Message) -> None:
        await _write(self._stream, self._sealed.seal(encode(message)))

    async def hear(self, kind: Any, seconds: float | None = None, limit: int = SMALL_FRAME) -> Any:
        return decode(self._sealed.open(await _read(self._stream, seconds, limit)), kind)

    def genuine(self, said: Introduction) -> Introduction:
        """Who introduces itself is who holds the key that TLS has seen. Raises InvalidFrame."""
        if said.key != self._stream.theirs or said.node != fingerprint(said.key):
            raise InvalidFrame(
                f"introduction of {said.node!r} with another node's key", "do not pair with this machine"
            )
        return msgspec.structs.replace(said, name=_printable(said.name))


def _printable(text: str) -> str:
    """Shown in terminals: what would move a cursor there is left out."""
    return "".join(char for char in text if char.isprintable())


async def _in_time(looking: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(LOOK_S):
            return await looking
    except TimeoutError as error:
        raise Unavailable(f"nobody has agreed within {LOOK_S:.0f} s", "try again") from error


async def _read(stream: PairingStream, seconds: float | None = None, limit: int = SMALL_FRAME) -> bytes:
    async with _deadline(seconds or ANSWER_S, "has said nothing"):
        return await stream.read(limit)


async def _write(stream: PairingStream, frame: bytes) -> None:
    async with _deadline(ANSWER_S, "has taken nothing"):
        await stream.write(frame)


@asynccontextmanager
async def _deadline(seconds: float, otherwise: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(f"the other side {otherwise} for {seconds:.0f} s", "try again") from error
    except (EOFError, OSError) as error:
        raise Unavailable("the other side has hung up", "try again") from error

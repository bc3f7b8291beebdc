"""What nodes of one swarm ask each other directly, and the answers. Pure.

A learner hears nothing from Raft: it asks a voter for the state that consensus has come to, and lets it decide and read
in its name.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId

A = TypeVar("A")


class AskState(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """The machine's state of that swarm, where it is of a later epoch, or of a later step of the same."""

    swarm: str
    epoch: str
    step: int


class AskDecision(msgspec.Struct, frozen=True, array_like=True, tag="decide"):
    """Have this command decided, and tell its result."""

    command: bytes


class AskBarrier(msgspec.Struct, frozen=True, array_like=True, tag="barrier"):
    """How far a linearizable read that begins now has to see."""


class Farewell(msgspec.Struct, frozen=True, array_like=True, tag="farewell"):
    """The node asked is no member of that swarm since that step of its machine.

    Who stands in another swarm takes no notice, nor who has come further: it was let in again since.
    """

    swarm: str
    epoch: str
    step: int


class Look(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """There is something new: the node asked should ask for the state."""


Question = AskState | AskDecision | AskBarrier | Farewell | Look


class StateAnswer(msgspec.Struct, frozen=True, array_like=True):
    """A state; no bytes where there is no later one."""

    swarm: str
    epoch: str
    step: int
    term: int
    state: bytes
    voters: list[NodeId]


class DecisionAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The result of a command, and a step at which it was known."""

    outcome: str
    number: int
    text: str
    step: int


class BarrierAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The step of the machine and the position of the order."""

    step: int
    seq: int


class Done(msgspec.Struct, frozen=True, array_like=True):
    """It was heard."""


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """What a new member begins with: its swarm, the state consensus has come to, and where members are reached."""

    swarm: str
    epoch: str
    step: int
    term: int
    state: bytes
    addresses: dict[NodeId, list[tuple[str, int]]]


_encoder = msgspec.msgpack.Encoder()
_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)


def encode(said: msgspec.Struct) -> bytes:
    """A question or an answer as msgpack."""
    return _encoder.encode(said)


def question(payload: bytes) -> Question:
    """The question; InvalidFrame where it is none."""
    try:
        return _questions.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"not a question between nodes: {error}") from error


def answer(payload: bytes, kind: type[A]) -> A:
    """The answer of that kind; InvalidFrame where it is another or none."""
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"not an answer between nodes: {error}") from error

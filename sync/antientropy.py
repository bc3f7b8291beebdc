"""What nodes tell each other so that each ends with every change: version vectors, batches, and vectors. Pure.

A node says what it has (`Have`). Who lacks something of it asks with what it has itself (`Want`) and gets the next
part (`Batch`), applies it, and asks again: a pull can be broken off anywhere and goes on from what has been applied.
A version vector says for each origin up to which counter its changes are known; they are known without gaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import Change, NodeId

# What one batch carries at most, in bytes of updates; one change larger than this travels alone.
BATCH_BYTES = 512 * 1024
# Runs of the order in one batch, and texts whose vectors are asked for at once.
MOST_RUNS = 4096
MOST_HASHES = 256
# What a sane swarm stays under: a frame that claims more is garbage.
MOST_ORIGINS = 4096
MOST_CHANGES = 16384

Vector = Mapping[NodeId, int]


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Positions seq, seq+1, … of the order are the changes counter, counter+1, … of an origin."""

    seq: int
    origin: NodeId
    counter: int
    count: int


class WireChange(msgspec.Struct, frozen=True, array_like=True):
    """A change as it travels."""

    origin: NodeId
    counter: int
    document: str
    kind: str
    action: str
    actor: str
    reason: str
    hlc: int
    update: bytes


class Have(msgspec.Struct, frozen=True, array_like=True, tag="have"):
    """What the sender has: its version vector, and up to where it knows the order of that epoch without gaps."""

    vector: dict[NodeId, int]
    ordered: int
    epoch: str


class Want(msgspec.Struct, frozen=True, array_like=True, tag="want"):
    """What the sender has, and a wish for what follows; for runs only of whoever is in the same epoch."""

    vector: dict[NodeId, int]
    ordered: int
    epoch: str


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """The next changes, each origin's in the order of its counters, and runs of an epoch; `more`: there are more."""

    changes: list[WireChange]
    runs: list[Run]
    more: bool
    epoch: str


class Passages(msgspec.Struct, frozen=True, array_like=True):
    """The vectors of a text: a row of little-endian 32-bit floats for each passage."""

    text_hash: bytes
    rows: list[bytes]


class Vectors(msgspec.Struct, frozen=True, array_like=True, tag="vectors"):
    """Vectors that the sender has made, or was asked for."""

    model: str
    passages: list[Passages]


class WantVectors(msgspec.Struct, frozen=True, array_like=True, tag="want-vectors"):
    """Texts whose vectors the sender lacks."""

    model: str
    hashes: list[bytes]


Message = Have | Want | Batch | Vectors | WantVectors

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The message as msgpack."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Message:
    """The message; InvalidFrame where it is none, or larger than any sane one."""
    try:
        message = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"not a message of the knowledge protocol: {error}") from error
    if excess := _excess(message):
        raise InvalidFrame(f"a message of the knowledge protocol with {excess}")
    return message


def _excess(message: Message) -> str:
    match message:
        case Have(vector=vector, ordered=ordered) | Want(vector=vector, ordered=ordered):
            wrong = len(vector) > MOST_ORIGINS or ordered < 0 or any(counter < 0 for counter in vector.values())
            return "an impossible vector" if wrong else ""
        case Batch(changes=changes, runs=runs):
            return _excess_of_batch(changes, runs)
        case Vectors(passages=passages):
            return "too many vectors" if len(passages) > MOST_HASHES else ""
        case WantVectors(hashes=hashes):
            return "too many texts" if len(hashes) > MOST_HASHES else ""


def _excess_of_batch(changes: Sequence[WireChange], runs: Sequence[Run]) -> str:
    if len(changes) > MOST_CHANGES or len(runs) > MOST_RUNS:
        return "too many changes"
    if any(change.counter < 1 or not 0 <= change.hlc < 1 << 63 for change in changes):
        return "an impossible change"
    return "an impossible run" if any(min(run.seq, run.counter, run.count) < 1 for run in runs) else ""


def lacks(mine: Vector, theirs: Vector) -> bool:
    """Whether `theirs` has a change that `mine` has not."""
    return any(counter > mine.get(origin, 0) for origin, counter in theirs.items())


def covers(one: Have, other: Have) -> bool:
    """Whether who has the one has all that the other has."""
    is_behind = one.epoch != other.epoch or one.ordered < other.ordered
    return not is_behind and not lacks(one.vector, other.vector)


def missing(mine: Vector, theirs: Vector) -> int:
    """How many changes `theirs` has that `mine` has not."""
    return sum(max(0, counter - mine.get(origin, 0)) for origin, counter in theirs.items())


def sent(change: Change) -> WireChange:
    """A change made ready to travel."""
    return WireChange(
        change.origin, change.counter, change.document, change.kind, change.action, change.actor, change.reason,
        change.hlc, change.update,
    )  # fmt: skip


def received(change: WireChange) -> Change:
    """A change that has travelled; what its fields say is for the intake to judge."""
    return Change(*(getattr(change, name) for name in WireChange.__struct_fields__))

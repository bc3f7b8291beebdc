"""The commands that consensus orders: what a node proposes, and what every node then does. Pure.

Each carries an id of 16 random bytes: it is done once, however often it is proposed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import Change, NodeId
from hiveminddb.store.commits import Base
from hiveminddb.sync.antientropy import WireChange, received, sent

# What the changes in one command may weigh; one that is heavier is ordered without its content (`Order`).
CHANGES_BYTES = 256 * 1024
MOST_CHANGES = 4096
COMMAND_BYTES = 512 * 1024

KEY_LENGTH = 200
VALUE_LENGTH = 4096
SHORTEST_TTL_MS = 100
LONGEST_TTL_MS = 7 * 24 * 3600 * 1000
_MOST = 2**63 - 1

CommandId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Key = Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH)]
Value = Annotated[str, Meta(max_length=VALUE_LENGTH)]
Node = Annotated[str, Meta(pattern=r"\A[a-z2-7]{20}\Z")]
PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
Natural = Annotated[int, Meta(ge=0, le=_MOST)]
Positive = Annotated[int, Meta(ge=1, le=_MOST)]
Ttl = Annotated[int, Meta(ge=SHORTEST_TTL_MS, le=LONGEST_TTL_MS)]


class Changes(msgspec.Struct, frozen=True, array_like=True, tag="changes"):
    """Changes of one origin with consecutive counters: taken in where they are not known, then ordered."""

    id: CommandId
    changes: Annotated[list[WireChange], Meta(min_length=1, max_length=MOST_CHANGES)]


class Order(msgspec.Struct, frozen=True, array_like=True, tag="order"):
    """Changes that a majority has already: only ordered."""

    id: CommandId
    origin: Node
    first: Positive
    count: Positive


class Grant(msgspec.Struct, frozen=True, array_like=True, tag="grant"):
    """A lease, where nobody holds the key."""

    id: CommandId
    key: Key
    holder: Key
    ttl_ms: Ttl


class Renew(msgspec.Struct, frozen=True, array_like=True, tag="renew"):
    """The lease with this token lasts its whole time again."""

    id: CommandId
    key: Key
    token: Natural


class Release(msgspec.Struct, frozen=True, array_like=True, tag="release"):
    """The holder of this token gives the key free."""

    id: CommandId
    key: Key
    token: Natural


class Expire(msgspec.Struct, frozen=True, array_like=True, tag="expire"):
    """The leader has seen the time of a lease run out since the step that granted or renewed it."""

    id: CommandId
    key: Key
    token: Natural
    granted: Natural


class SetRegister(msgspec.Struct, frozen=True, array_like=True, tag="set"):
    """Compare and set: by version (0: never set), or by value."""

    id: CommandId
    key: Key
    value: Value
    version: Natural | None = None
    expected: Value | None = None


class ClaimName(msgspec.Struct, frozen=True, array_like=True, tag="name"):
    """A name for one holder alone; to whom it belongs already, it is given again."""

    id: CommandId
    name: Key
    holder: Key


class ReleaseName(msgspec.Struct, frozen=True, array_like=True, tag="unname"):
    """Its holder gives a name up."""

    id: CommandId
    name: Key
    holder: Key


class AddMember(msgspec.Struct, frozen=True, array_like=True, tag="add"):
    """A node becomes a member, or a member's role changes; `token` is the last one its own swarm gave out.

    A name that another bears gets a number. A member keeps the name it has.
    """

    id: CommandId
    node: Node
    public_key: PublicKey
    name: Key
    role: Literal["voter", "learner"]
    token: Natural = 0


class RemoveMember(msgspec.Struct, frozen=True, array_like=True, tag="remove"):
    """A member becomes a stranger."""

    id: CommandId
    node: Node


class RenameMember(msgspec.Struct, frozen=True, array_like=True, tag="rename"):
    """A member gets another name."""

    id: CommandId
    node: Node
    name: Key


class DecideAlone(msgspec.Struct, frozen=True, array_like=True, tag="alone"):
    """From here on the only voter gives positions without steps."""

    id: CommandId


class DecideTogether(msgspec.Struct, frozen=True, array_like=True, tag="together"):
    """From here on steps give positions; so far the only voter has given them, up to these."""

    id: CommandId
    seq: Natural
    ordered: dict[Node, Natural]


Claim = Grant | Renew | Release | Expire | SetRegister | ClaimName | ReleaseName
Membership = AddMember | RemoveMember | RenameMember
Handover = DecideAlone | DecideTogether
Command = Changes | Order | Handover | Claim | Membership

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


def new_id() -> bytes:
    """The id of a command that has not been proposed yet."""
    return secrets.token_bytes(16)


def encode(command: Command) -> bytes:
    """The command as msgpack."""
    return _encoder.encode(command)


def decode(payload: bytes) -> Command:
    """The command; InvalidFrame where it is none, or larger than any may be."""
    if len(payload) > COMMAND_BYTES:
        raise InvalidFrame(f"a command of {len(payload)} bytes, at most {COMMAND_BYTES} are allowed")
    try:
        command = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"not a command: {error}") from error
    if isinstance(command, Changes) and (wrong := _wrong(command.changes)):
        raise InvalidFrame(f"a command with {wrong}")
    return command


def proposals(pending: Sequence[Change], spread: int = 0) -> Iterator[Changes | Order]:
    """The commands that order these changes of one origin with consecutive counters, in their order.

    Up to the counter `spread` a majority has them: their content does not travel once more.
    """
    known = min(len(pending), max(0, spread + 1 - pending[0].counter)) if pending else 0
    if known:
        yield Order(new_id(), pending[0].origin, pending[0].counter, known)
    portion: list[WireChange] = []
    room = CHANGES_BYTES
    for change in pending[known:]:
        weight = _weight(change)
        if portion and (weight > room or len(portion) == MOST_CHANGES):
            yield Changes(new_id(), portion)
            portion, room = [], CHANGES_BYTES
        if weight > CHANGES_BYTES:
            yield Order(new_id(), change.origin, change.counter, 1)
            continue
        portion.append(sent(change))
        room -= weight
    if portion:
        yield Changes(new_id(), portion)


def majority(counters: Sequence[int]) -> int:
    """What more than half of these reach; 0 where there are none."""
    return sorted(counters, reverse=True)[len(counters) // 2] if counters else 0


def _weight(change: Change) -> int:
    """No less than the bytes it takes in a command."""
    words = (change.origin, change.document, change.kind, change.action, change.actor, change.reason)
    return len(change.update) + sum(4 * len(word) + 5 for word in words) + 30


def carried(command: Changes) -> list[Change]:
    """The changes in a command."""
    return [received(change) for change in command.changes]


def together(at: Base) -> DecideTogether:
    """The command that says how far who decided alone has come."""
    return DecideTogether(new_id(), at.seq, {str(node): counter for node, counter in at.ordered.items()})


def reached(command: DecideTogether) -> Base:
    """How far who decided alone has come."""
    return Base(command.seq, {NodeId(node): counter for node, counter in command.ordered.items()})


def _wrong(changes: Sequence[WireChange]) -> str:
    first = changes[0]
    if not all(1 <= change.counter <= _MOST and 0 <= change.hlc <= _MOST for change in changes):
        return "an impossible change"
    if any((one.origin, one.counter) != (first.origin, first.counter + i) for i, one in enumerate(changes)):
        return "changes that do not follow each other"
    return ""

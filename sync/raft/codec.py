"""What voters say to each other, and what stands in a log entry: msgpack, checked against a schema first of all.

An entry's first byte tells pysyncobj nothing to act on: of its own kinds only the empty one is ever used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId

LARGEST_COMMAND = 512 << 10
LARGEST_MESSAGE = 4 << 20
LARGEST_PART = 1 << 20
LARGEST_STATE = 64 << 20
MOST_VOTERS = 5
LONGEST_NAME = 128

NO_OP, COMMAND, CONFIGURATION = b"\x01", b"\x04", b"\x05"

Index = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=60_000)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
Voters = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MOST_VOTERS)]
Body = Annotated[bytes, msgspec.Meta(max_length=LARGEST_COMMAND)]
Stored = Annotated[bytes, msgspec.Meta(min_length=1, max_length=LARGEST_COMMAND + 1)]


class _Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False, tag=True):
    pass


class Append(_Message, frozen=True, tag=1):
    """Entries behind (prev_index, prev_term); `number` is answered, 0 is not; `beat`: how soon the next comes."""

    term: Index
    number: Index
    prev_index: Index
    prev_term: Index
    commit: Index
    beat: Milliseconds
    entries: Annotated[tuple[tuple[Stored, Index, Index], ...], msgspec.Meta(max_length=200_000)]


class Acknowledge(_Message, frozen=True, tag=2):
    """To an Append or Part: all up to `index` is held and on disk; or refused, and `index` is worth trying next."""

    term: Index
    number: Index
    accepted: bool
    index: Index


class AskVote(_Message, frozen=True, tag=3):
    """`handed` says that the leader itself asked for this election."""

    term: Index
    last_index: Index
    last_term: Index
    handed: bool


class Vote(_Message, frozen=True, tag=4):
    term: Index


class Probe(_Message, frozen=True, tag=5):
    """Would you vote for me in `term`? Asking and answering changes nothing."""

    round: Index
    term: Index
    last_index: Index
    last_term: Index


class Probed(_Message, frozen=True, tag=6):
    round: Index
    term: Index
    granted: bool


class Part(_Message, frozen=True, tag=7):
    """A piece of a snapshot of the state after entry (index, last_term)."""

    term: Index
    number: Index
    beat: Milliseconds
    index: Index
    last_term: Index
    voters: Voters
    size: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_STATE)]
    checksum: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_STATE)]
    data: Annotated[bytes, msgspec.Meta(max_length=LARGEST_PART)]


class Taken(_Message, frozen=True, tag=8):
    """All of a snapshot up to `offset` has arrived."""

    term: Index
    number: Index
    index: Index
    offset: Index


class HandOver(_Message, frozen=True, tag=9):
    """The leader asks this voter to take over."""

    term: Index


class Request(_Message, frozen=True, tag=10):
    """Asks the leader to `propose` a command, for a `barrier`, or to `add` or `remove` the voter named in the body."""

    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
    hops: Annotated[int, msgspec.Meta(ge=0, le=3)]
    milliseconds: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
    kind: Annotated[int, msgspec.Meta(ge=0, le=3)]
    body: Body


class Answer(_Message, frozen=True, tag=11):
    """Decided at `index`; or (error not 0) why not, for people in `text`."""

    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
    error: Annotated[int, msgspec.Meta(ge=0, le=3)]
    index: Index
    text: Annotated[str, msgspec.Meta(max_length=500)]


class Together(_Message, frozen=True, tag=12):
    """Requests and answers of one moment."""

    requests: Annotated[tuple[Request, ...], msgspec.Meta(max_length=50_000)]
    answers: Annotated[tuple[Answer, ...], msgspec.Meta(max_length=50_000)]


Message = Append | Acknowledge | AskVote | Vote | Probe | Probed | Part | Taken | HandOver | Together

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_voters: msgspec.msgpack.Decoder[Voters] = msgspec.msgpack.Decoder(Voters)


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode(payload: bytes) -> Message:
    """Raises InvalidFrame for everything that no sound peer would send."""
    if len(payload) > LARGEST_MESSAGE:
        raise InvalidFrame(f"a consensus message of {len(payload)} bytes", f"at most {LARGEST_MESSAGE}")
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"no consensus message: {error}") from error
    if isinstance(message, Append):
        _check_entries(message)
    elif isinstance(message, Part) and message.offset + len(message.data) > message.size:
        raise InvalidFrame(f"a piece of a snapshot beyond its {message.size} bytes")
    return message


def encode_voters(voters: Sequence[NodeId] | frozenset[NodeId]) -> bytes:
    return CONFIGURATION + _encoder.encode(sorted(voters))


def decode_voters(entry: bytes) -> frozenset[NodeId]:
    """The voters that a configuration entry names; raises InvalidFrame where it is none."""
    try:
        return frozenset(map(NodeId, _voters.decode(entry[1:])))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"no list of voters: {error}") from error


def _check_entries(message: Append) -> None:
    index, term = message.prev_index, message.prev_term
    for stored, entry_index, entry_term in message.entries:
        index += 1
        if entry_index != index or not term <= entry_term <= message.term:
            raise InvalidFrame(f"entry {entry_index} of term {entry_term} after {index - 1} of {term}")
        term = entry_term
        kind = stored[:1]
        if kind == CONFIGURATION:
            decode_voters(stored)
        elif kind != COMMAND and stored != NO_OP:
            raise InvalidFrame(f"entry {entry_index} is of no known kind: {kind!r}")

"""The machine's state after an entry: as a file while it is being installed, and in pieces between voters."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import msgspec

from hiveminddb.errors import Corrupt
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import LARGEST_PART, Part
from hiveminddb.sync.raft.journal import Base

NAME = "snapshot"


class Snapshot(NamedTuple):
    """`state` is the machine's after the base's entry."""

    base: Base
    state: bytes

    @property
    def checksum(self) -> int:
        return zlib.crc32(self.state)

    def part(self, offset: int, term: int, number: int, beat: int) -> Part:
        """The piece from `offset` on."""
        index, last_term, voters = self.base
        data = self.state[offset : offset + LARGEST_PART]
        names = tuple(sorted(voters))
        return Part(term, number, beat, index, last_term, names, len(self.state), self.checksum, offset, data)


class _Stored(msgspec.Struct, array_like=True):
    index: int
    term: int
    voters: list[str]
    state: bytes


def to_file(snapshot: Snapshot) -> bytes:
    index, term, voters = snapshot.base
    body = msgspec.msgpack.encode(_Stored(index, term, sorted(voters), snapshot.state))
    return zlib.crc32(body).to_bytes(4, "big") + body


def from_file(data: bytes) -> Snapshot:
    """Raises Corrupt where it is not what was written."""
    try:
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
            raise Corrupt("the snapshot's checksum does not fit", "remove the file; a peer sends it again")
        stored = msgspec.msgpack.decode(data[4:], type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"the snapshot cannot be read: {error}", "remove the file; a peer sends it again") from error
    return Snapshot(Base(stored.index, stored.term, frozenset(map(NodeId, stored.voters))), stored.state)


class Assembly:
    """A snapshot on its way in: pieces in order, of one snapshot at a time."""

    def __init__(self) -> None:
        self._of: tuple[int, int, int, int] | None = None
        self._data = bytearray()

    def take(self, part: Part) -> int:
        """How many bytes of that snapshot have come without a gap."""
        of = (part.index, part.last_term, part.size, part.checksum)
        if of != self._of:
            self._of, self._data = of, bytearray()
        if part.offset == len(self._data):
            self._data += part.data
        return len(self._data)

    def finish(self, part: Part) -> Snapshot | None:
        """The whole, once it is there and its checksum fits; begins anew where it does not."""
        if self._of is None or len(self._data) < part.size:
            return None
        state = bytes(self._data)
        self._of, self._data = None, bytearray()
        if zlib.crc32(state) != part.checksum:
            return None
        return Snapshot(Base(part.index, part.last_term, frozenset(map(NodeId, part.voters))), state)

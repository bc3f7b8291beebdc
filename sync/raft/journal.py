"""The log of one voter on disk: entries, term and vote, in one append-only file.

    file    = magic (8) salt (8) frame*
    frame   = mark (4) length (u32) number (u64) checksum (u32) header checksum (u32) record*
    record  = kind (u8) index (u64) term (u64) length (u32) data

A frame is what one sync made durable. Its checksum goes on from the frame before it, so that no frame can stand where
it was not written. Frame n + 1 is written only after frame n is synced: a broken frame with nothing behind it was torn
by a crash and never answered for; one with a later frame behind it is damage, and nothing of that log is trusted.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from hiveminddb.errors import Corrupt, StorageError
from hiveminddb.model import NodeId

NAME = "journal"

# (command, index, term), as pysyncobj has it.
Entry = tuple[bytes, int, int]

_MAGIC = b"HMDRAFT1"
_SALT_BYTES = 8
_MARK = b"\xf4\x9dRf"
_FRAME = struct.Struct(">4sIQI")
_CHECKSUM = struct.Struct(">I")
_FRAME_BYTES = _FRAME.size + _CHECKSUM.size
_RECORD = struct.Struct(">BQQI")
_BASE, _ENTRY, _CUT, _TERM = range(4)
_FIRST_FRAME = len(_MAGIC) + _SALT_BYTES

_HINT = "start the daemon again: it begins another log; memories are not touched"


class Storage(Protocol):
    def read(self, name: str) -> bytes | None: ...
    def append(self, name: str, data: bytes) -> None: ...
    def sync(self, name: str) -> None: ...
    def truncate(self, name: str, size: int) -> None: ...
    def replace(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...
    def close(self) -> None: ...


class Base(NamedTuple):
    """The point a log begins after: a snapshot's, with the voters of then."""

    index: int  # type: ignore[assignment]
    term: int
    voters: frozenset[NodeId]


class Journal:
    """pysyncobj's journal; its first entry is the base, without a command. A StorageError is fatal for the node."""

    def __init__(self, storage: Storage, base: Base) -> None:
        """Opens what is there; where there is nothing, begins at `base`."""
        self._storage = storage
        self._frames = _Frames()
        self._entries: list[Entry] = []
        self._bytes = 0
        self._term = base.term
        self._vote: NodeId | None = None
        self._pending: list[bytes] = []
        self._durable = 0
        self.floor = 0
        data = storage.read(NAME)
        if data is None:
            self._begin(base)
            self._write_anew()
        else:
            self._load(data)

    # What pysyncobj calls.

    def add(self, command: bytes, idx: int, term: int) -> None:
        if idx != self.last_index + 1:
            raise StorageError(f"entry {idx} cannot follow entry {self.last_index}", _HINT)
        self._entries.append((command, idx, term))
        self._bytes += len(command)
        self._pending.append(_RECORD.pack(_ENTRY, idx, term, len(command)))
        self._pending.append(command)

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        first = self.base_index + entryFrom
        if first <= self.floor:
            raise StorageError(f"entry {first} is committed and would be replaced by another", _HINT)
        self._cut(first)
        self._pending.append(_RECORD.pack(_CUT, first, 0, 0))

    def clear(self) -> None:
        raise StorageError("the log would be cleared", _HINT)

    def deleteEntriesTo(self, entryTo: int) -> None:
        raise StorageError(f"the log would be cut in place at {entryTo}", _HINT)

    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    def setCurrentTerm(self, term: int, vote: NodeId | None) -> None:
        self._term, self._vote = term, vote
        name = (vote or "").encode()
        self._pending.append(_RECORD.pack(_TERM, 0, term, len(name)) + name)

    def getCurrentTerm(self) -> int:
        return self._term

    def getVotedForNodeId(self) -> NodeId | None:
        return self._vote

    def setRaftCommitIndex(self, index: int) -> None:
        self.floor = max(self.floor, index)

    def getRaftCommitIndex(self) -> int:
        return self.floor

    def onOneSecondTimer(self) -> None: ...

    def _destroy(self) -> None: ...

    # What this room calls.

    @property
    def base(self) -> Base:
        """Where the log begins, with the voters of then."""
        return self._base

    @property
    def base_index(self) -> int:
        return self._base.index

    @property
    def last_index(self) -> int:
        return self._entries[-1][1]

    @property
    def last_term(self) -> int:
        return self._entries[-1][2]

    @property
    def durable_index(self) -> int:
        """The last entry that a power cut would leave."""
        return self._durable

    @property
    def dirty(self) -> bool:
        return bool(self._pending)

    @property
    def size(self) -> int:
        """Bytes of all commands."""
        return self._bytes

    def term_at(self, index: int) -> int | None:
        """None where the log does not hold the entry (nor begins after it)."""
        position = index - self.base_index
        return self._entries[position][2] if 0 <= position < len(self._entries) else None

    def between(self, first: int, last: int) -> list[Entry]:
        """Entries first..last, of those after the base."""
        return self._entries[max(1, first - self.base_index) : max(1, last + 1 - self.base_index)]

    def first_of_term(self, index: int) -> int:
        """The first entry of the run of one term that `index` is in."""
        position = index - self.base_index
        term = self._entries[position][2]
        while position > 1 and self._entries[position - 1][2] == term:
            position -= 1
        return self.base_index + position

    def sync(self) -> None:
        """Everything so far is on disk on return."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._storage.append(NAME, self._frames.frame(b"".join(pending)))
            self._storage.sync(NAME)
            self._durable = self.last_index

    def compact(self, base: Base) -> None:
        """The log begins after an entry it holds; durable on return."""
        if self.term_at(base.index) != base.term:
            raise StorageError(f"the log holds no entry {base.index} of term {base.term} to begin after", _HINT)
        self._begin_after(base, self._entries[base.index - self.base_index + 1 :])

    def install(self, base: Base) -> None:
        """The log begins at a verified snapshot; what follows its entry stays where the log held that very entry."""
        kept = self.term_at(base.index) == base.term
        self._begin_after(base, self._entries[base.index - self.base_index + 1 :] if kept else [])

    def begin_anew(self, base: Base) -> None:
        """Nothing of the log stays but the term and the vote."""
        self._begin_after(base, [])

    def _begin_after(self, base: Base, entries: list[Entry]) -> None:
        self._pending = []
        self._begin(base)
        self._entries.extend(entries)
        self._bytes = sum(len(command) for command, _, _ in entries)
        self._write_anew()

    def _begin(self, base: Base) -> None:
        self._base = base
        self._entries = [(b"", base.index, base.term)]
        self._bytes = 0
        self._term = max(self._term, base.term)
        self.floor = max(self.floor, base.index)

    def _cut(self, first: int) -> None:
        position = first - self.base_index
        self._bytes -= sum(len(command) for command, _, _ in self._entries[position:])
        del self._entries[position:]
        self._durable = min(self._durable, self.last_index)

    def _write_anew(self) -> None:
        voters = msgspec.msgpack.encode(sorted(self._base.voters))
        vote = (self._vote or "").encode()
        records = [_RECORD.pack(_BASE, self._base.index, self._base.term, len(voters)), voters]
        records += [_RECORD.pack(_TERM, 0, self._term, len(vote)), vote]
        for command, index, term in self._entries[1:]:
            records += [_RECORD.pack(_ENTRY, index, term, len(command)), command]
        salt = os.urandom(_SALT_BYTES)
        self._frames = _Frames(salt)
        self._storage.replace(NAME, _MAGIC + salt + self._frames.frame(b"".join(records)))
        self._durable = self.last_index

    def _load(self, data: bytes) -> None:
        if data[: len(_MAGIC)] != _MAGIC or len(data) < _FIRST_FRAME:
            raise Corrupt(f"the log begins with {data[:16]!r}", _HINT)
        self._frames = _Frames(data[len(_MAGIC) : _FIRST_FRAME])
        end = _FIRST_FRAME
        while (payload := self._frames.read(data, end)) is not None:
            self._replay(payload)
            end += _FRAME_BYTES + len(payload)
        if not self._entries or self._frames.later(data, end):
            raise Corrupt(f"the log is damaged at byte {end} of {len(data)}", _HINT)
        if end < len(data):
            self._storage.truncate(NAME, end)
        self._durable = self.last_index

    def _replay(self, payload: bytes) -> None:
        at = 0
        while at < len(payload):
            kind, index, term, length = _RECORD.unpack_from(payload, at)
            at += _RECORD.size
            self._replay_one(kind, index, term, payload[at : at + length])
            at += length

    def _replay_one(self, kind: int, index: int, term: int, data: bytes) -> None:
        if kind == _ENTRY:
            self._entries.append((data, index, term))
            self._bytes += len(data)
        elif kind == _CUT:
            self._cut(index)
        elif kind == _TERM:
            self._term, self._vote = term, NodeId(data.decode()) if data else None
        else:
            self._begin(Base(index, term, frozenset(map(NodeId, msgspec.msgpack.decode(data, type=list[str])))))


class _Frames:
    """The chain of frames: makes the next one, and checks one against those before it."""

    def __init__(self, salt: bytes = b"") -> None:
        self._seed = zlib.crc32(salt)
        self._chain = self._seed
        self._number = 0

    def frame(self, payload: bytes) -> bytes:
        self._chain = zlib.crc32(payload, self._chain)
        header = _FRAME.pack(_MARK, len(payload), self._number, self._chain)
        self._number += 1
        return b"".join((header, _CHECKSUM.pack(zlib.crc32(header, self._seed)), payload))

    def read(self, data: bytes, at: int) -> bytes | None:
        """The payload of the frame that stands at `at`, None where the next one does not."""
        number = self._number_at(data, at)
        if number != self._number:
            return None
        _, length, _, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME_BYTES : at + _FRAME_BYTES + length]
        if len(payload) < length or zlib.crc32(payload, self._chain) != checksum:
            return None
        self._chain, self._number = checksum, self._number + 1
        return payload

    def later(self, data: bytes, at: int) -> bool:
        """Whether a frame stands behind the one that should be at `at`."""
        positions = _positions(data, at)
        return any((self._number_at(data, position) or 0) > self._number for position in positions)

    def _number_at(self, data: bytes, at: int) -> int | None:
        if at + _FRAME_BYTES > len(data):
            return None
        (checksum,) = _CHECKSUM.unpack_from(data, at + _FRAME.size)
        mark, _, number, _ = _FRAME.unpack_from(data, at)
        sound = mark == _MARK and zlib.crc32(data[at : at + _FRAME.size], self._seed) == checksum
        return int(number) if sound else None


def _positions(data: bytes, at: int) -> Iterable[int]:
    while (at := data.find(_MARK, at)) >= 0:
        yield at
        at += 1

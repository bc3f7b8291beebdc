"""Which bytes may be given to the CRDT library: those that are an update as our documents' are. Pure.

The library takes counts at their word: four bytes from a peer make it allocate gigabytes, and values nested deep enough
end the process. So an update is walked through before: every count must fit into the bytes that follow, and of the
format (Yjs's update encoding v1, see `encoding.py`) only what a Text and a Map of plain values need is let through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# More than any client writes to one document; the library counts in 32 bits.
_MOST = (1 << 31) - 1
_CLIENTS = 1 << 53
_DEPTH = 16

_GC, _SKIP = 0, 10
_DELETED, _STRING, _VALUES = 1, 4, 8
_HAS_LEFT, _HAS_RIGHT, _HAS_KEY, _KIND = 0x80, 0x40, 0x20, 0x1F

_FIELDS = b"fields"
_ROOTS = (b"text", _FIELDS)
_SIZES = {0x7F: 0, 0x7E: 0, 0x79: 0, 0x78: 0, 0x7C: 4, 0x7B: 8, 0x7A: 8}
_INTEGER, _TEXT, _OBJECT, _ARRAY, _BYTES = 0x7D, 0x77, 0x76, 0x75, 0x74


@dataclass(frozen=True, slots=True)
class Update:
    """What can be told of an update without the documents it is for."""

    # It has the first value of a document's fields: the one that `document.create` writes under the key "".
    begins: bool
    # The operations it has: by client, the number of the first.
    made: tuple[tuple[int, int], ...]
    # Those of others, or of its own clients before, that it names: client, first and last number.
    named: tuple[tuple[int, int, int], ...]


def walk(update: bytes) -> Update | None:
    """None where these bytes are not one update from their first byte to their last."""
    walker = _Walker(update)
    try:
        walker.update()
    except (_NoUpdateError, IndexError, UnicodeDecodeError):
        return None
    return Update(walker.begins, tuple(walker.made), tuple(walker.named)) if walker.at == len(update) else None


class _NoUpdateError(Exception):
    """Says that the bytes are none."""


class _Walker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self.begins = False
        self.made: list[tuple[int, int]] = []
        self.named: list[tuple[int, int, int]] = []

    def update(self) -> None:
        self._times(self._client)
        self._times(self._deletions)

    def _client(self) -> None:
        count, client, first = self._count(), self._number(_CLIENTS), self._number()
        self.made.append((client, first))
        if first:
            self.named.append((client, first - 1, first - 1))
        for _ in range(count):
            self._struct()

    def _deletions(self) -> None:
        client = self._number(_CLIENTS)
        for _ in range(self._count()):
            first, size = self._number(), self._number()
            self.named.append((client, first, first + max(size, 1) - 1))

    def _struct(self) -> None:
        info = self._byte()
        if info in (_GC, _SKIP):
            self._number()
            return
        if info & _HAS_LEFT:
            self._id()
        if info & _HAS_RIGHT:
            self._id()
        if not info & (_HAS_LEFT | _HAS_RIGHT):
            self._parent(bool(info & _HAS_KEY))
        self._content(info & _KIND)

    def _id(self) -> None:
        client, number = self._number(_CLIENTS), self._number()
        self.named.append((client, number, number))

    def _parent(self, has_key: bool) -> None:
        if self._byte() != 1 or (root := self._string()) not in _ROOTS:
            raise _NoUpdateError
        if has_key:
            self.begins |= self._string() == b"" and root == _FIELDS

    def _content(self, kind: int) -> None:
        if kind == _DELETED:
            self._number()
        elif kind == _STRING:
            self._string()
        elif kind == _VALUES:
            self._times(self._value)
        else:
            raise _NoUpdateError

    def _value(self, depth: int = _DEPTH) -> None:
        kind = self._byte()
        if kind in (_OBJECT, _ARRAY) and depth:
            for _ in range(self._count()):
                if kind == _OBJECT:
                    self._string()
                self._value(depth - 1)
        elif kind in (_TEXT, _BYTES):
            self._string(is_text=kind == _TEXT)
        elif kind == _INTEGER:
            self._skip_integer()
        elif kind in _SIZES:
            self._skip(_SIZES[kind])
        else:
            raise _NoUpdateError

    def _times(self, part: Callable[[], None]) -> None:
        for _ in range(self._count()):
            part()

    def _count(self) -> int:
        """How many things follow; each takes a byte at least."""
        count = self._number()
        if count > len(self._data) - self.at:
            raise _NoUpdateError
        return count

    def _number(self, most: int = _MOST) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if value > most:
                raise _NoUpdateError
            if byte < 0x80:
                return value
            shift += 7

    def _skip_integer(self) -> None:
        for _ in range(10):
            if self._byte() < 0x80:
                return
        raise _NoUpdateError

    def _string(self, is_text: bool = True) -> bytes:
        size = self._count()
        found = self._data[self.at : self.at + size]
        self.at += size
        if is_text and not found.isascii():
            found.decode()
        return found

    def _skip(self, size: int) -> None:
        self.at += size

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

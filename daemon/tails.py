"""What was added to the end of files since they were written: an add costs its own length, not the file's."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from hiveminddb.daemon.projection import ENTRY
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.vault.files import DIGEST_BYTES

# Files whose tail is followed; for others a write looks at the whole file.
MOST = 1024


@dataclass(frozen=True, slots=True)
class Addition:
    """What a file lacks: the text to append, the change it is as of, and the digest of the whole file then."""

    topic: str
    n: int
    text: str
    digest: str


@dataclass(slots=True)
class _Tail:
    n: int
    position: str
    hasher: hashlib.blake2b
    added: list[tuple[int, str]] = field(default_factory=list)


class Tails:
    """Told of every commit on the writer's thread, asked by the mirror on the loop's."""

    def __init__(self) -> None:
        self._tails: OrderedDict[str, _Tail] = OrderedDict()
        self._lock = Lock()

    def begin(self, topic: str, n: int, text: str, position: str) -> str:
        """The file says, or is about to say, what the documents do as of change `n`; the digest of that text.

        `position` is the last one in the file.
        """
        hasher = hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES)
        with self._lock:
            self._tails.pop(topic, None)
            if text.endswith("\n"):
                self._tails[topic] = _Tail(n, position, hasher)
                if len(self._tails) > MOST:
                    self._tails.popitem(last=False)
        return hasher.hexdigest()

    def drop(self, topic: str) -> None:
        """The file is no longer what was said."""
        with self._lock:
            self._tails.pop(topic, None)

    def committed(self, rows: Sequence[MemoryRow], places: Sequence[int], left: Sequence[str]) -> None:
        """Rows that changes at these places in the log put; `left` are topics that a row was in before."""
        if not self._tails:
            return
        with self._lock:
            for topic in left:
                self._tails.pop(topic, None)
            for row, n in zip(rows, places, strict=True):
                tail = self._tails.get(row.topic)
                if tail is None or n <= tail.n:
                    continue
                if _appends(row, tail):
                    tail.added.append((n, row.text))
                    tail.position = row.position
                else:
                    del self._tails[row.topic]

    def lacking(self, known: VaultFile) -> Addition | None:
        """What is to be appended to a file that is as known; None where that cannot be told from here."""
        with self._lock:
            tail = self._tails.get(known.topic)
            if tail is None or tail.n != known.n or not tail.added:
                return None
            text = "".join(text for _, text in tail.added)
            tail.n = tail.added[-1][0]
            tail.added = []
            tail.hasher.update(text.encode())
            return Addition(known.topic, tail.n, text, tail.hasher.hexdigest())


def _appends(row: MemoryRow, tail: _Tail) -> bool:
    new = row.version == 1 and row.alive and row.role == ENTRY
    return new and row.position > tail.position and row.text.endswith("\n")

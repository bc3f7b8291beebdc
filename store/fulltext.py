"""The full-text index on the disk, a little behind the memories: texts are put in by the hundred, not one by one.

A segment written for each commit would cost more than the commit. The index in memory is what searches see at once;
this one is what it is loaded from, so all that must hold is that it is known how far it goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from hiveminddb.store.cues import index_text

logger = logging.getLogger(__name__)

Text = tuple[int, str]

# Texts that may wait over a commit: fewer than the index in memory keeps the terms of.
WAITING_TEXTS = 3072
WAITING_CHARACTERS = 8 << 20
# From here on they are put in as soon as the callers of a commit have been answered.
MANY_TEXTS = 256

_UPTO = "fulltext_upto"
_BEHIND = (
    "SELECT slot, substr(text, body_start + 1, body_end - body_start) FROM memories"
    " WHERE slot > ? AND listed AND invalidated_at IS NULL ORDER BY slot"
)


class Waiting(NamedTuple):
    """Texts that wait over a commit, and how long they are together."""

    texts: Sequence[Text] = ()
    characters: int = 0

    @classmethod
    def of(cls, texts: Sequence[Text]) -> Waiting:
        return cls(texts, sum(len(content) for _, content in texts))


NOTHING = Waiting()


class FullText:
    """What one transaction does to the index; `waiting` is what earlier ones left to be put in."""

    def __init__(self, connection: apsw.Connection, waiting: Waiting = NOTHING) -> None:
        self._connection = connection
        self._added: list[Text] = list(waiting.texts)
        self._before = waiting
        self._removed: list[int] = []
        self._flushed = (0, 0)
        self._start = (len(self._added), 0)

    def put(self, texts: Iterable[Text]) -> None:
        """Texts with new slots."""
        self._added.extend(texts)

    def drop(self, slot: int) -> None:
        """A slot no search shall find any more."""
        self._removed.append(slot)

    @property
    def due(self) -> bool:
        """Whether it must be brought up to date before the commit: much waits, or something is to be dropped."""
        waiting = self.waiting
        return (
            len(self._removed) > self._flushed[1]
            or len(waiting.texts) >= WAITING_TEXTS
            or waiting.characters >= WAITING_CHARACTERS
        )

    @property
    def waiting(self) -> Waiting:
        """The texts that have not been put in."""
        if self._flushed[0]:
            return Waiting.of(self._added[self._flushed[0] :])
        # Those from before are hundreds, and were counted then.
        new = self._added[len(self._before.texts) :]
        return Waiting(self._added, self._before.characters + Waiting.of(new).characters)

    def begin(self) -> tuple[int, int]:
        """A savepoint begins; what to give to `undo` if it is rolled back."""
        self._start = (len(self._added), len(self._removed))
        return self._flushed

    def undo(self, flushed: tuple[int, int]) -> None:
        """The savepoint was rolled back: what it put is forgotten, what it flushed for others waits again."""
        self._forget()
        self._flushed = flushed

    def flush(self, upto: int) -> None:
        """Brings the index up to date with every memory up to that slot."""
        added, removed = self._added[self._flushed[0] :], self._removed[self._flushed[1] :]
        texts = ((slot, index_text(content)) for slot, content in added)
        self._connection.executemany("INSERT INTO entries (rowid, content) VALUES (?, ?)", texts)
        self._connection.executemany("DELETE FROM entries WHERE rowid = ?", ((slot,) for slot in removed))
        self._connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_UPTO, str(upto)))
        # What earlier works put stays listed: undoing the present one would undo this flush.
        self._forget()
        self._flushed = (len(self._added), len(self._removed))

    def _forget(self) -> None:
        del self._added[self._start[0] :], self._removed[self._start[1] :]


def indexed_upto(connection: apsw.Connection) -> int:
    """The slot up to which the full-text index is whole."""
    value = connection.execute("SELECT value FROM meta WHERE key = ?", (_UPTO,)).get
    return int(value or 0)


def behind(connection: apsw.Connection) -> list[Text]:
    """The living texts that are not in it yet, by slot."""
    return list(connection.execute(_BEHIND, (indexed_upto(connection),)))


def catch_up(connection: apsw.Connection) -> list[Text]:
    """Puts in what a killed process left out; the texts that still wait where that failed."""
    texts: list[Text] = []
    try:
        if texts := behind(connection):
            with connection:
                FullText(connection, Waiting.of(texts)).flush(texts[-1][0])
    except apsw.Error as error:
        # All else can still be read: a full disk or a damaged page is told to whoever writes.
        logger.warning("event=fulltext_behind texts=%d error=%s", len(texts), error)
        return texts
    return []

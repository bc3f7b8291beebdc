"""Which rows of the in-memory index hold a term, and how often: read from the full-text index once, then kept."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

import apsw
import numpy as np
import numpy.typing as npt

from hiveminddb.store.fulltext import indexed_upto

# All that is kept of postings; a common term of 100,000 rows takes 0.8 MB.
CACHE_BYTES = 64 * 1024 * 1024
# Rows, twice this at most, whose terms are kept as written: a posting is then brought up to date without SQL.
TAIL_ROWS = 4096

_DOCUMENTS = "SELECT group_concat(doc) FROM entries_terms WHERE term = ?"
_TOKENIZER = ("porter", ["unicode61", "remove_diacritics", "2"])

Ints = npt.NDArray[np.int32]
Slots = npt.NDArray[np.int64]


class Tokenizer:
    """Cuts texts into the terms the full-text index has; every thread gets its own."""

    def __init__(self) -> None:
        self._local = threading.local()

    def terms(self, text: str) -> list[str]:
        """The terms of a text in order, repeated as they stand in it."""
        cut = getattr(self._local, "cut", None)
        if cut is None:
            self._local.connection = connection = apsw.Connection(":memory:")
            cut = self._local.cut = connection.fts5_tokenizer(*_TOKENIZER)
        data = text.encode("utf-8", "replace")
        return list(cut(data, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=False, include_colocated=False))


@dataclass(frozen=True, slots=True)
class Posting:
    """The rows that hold a term, ascending, and how often each does; whole for rows below `upto`."""

    rows: Ints
    counts: Ints
    upto: int

    @property
    def size(self) -> int:
        return self.rows.nbytes + self.counts.nbytes


@dataclass(slots=True)
class _Tail:
    """The terms of the rows written since `start`: for each term its rows and counts."""

    start: int
    terms: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)


class Postings:
    """The postings of terms; `add` on the writer's thread, `get` on any."""

    def __init__(self, start: int, budget: int = CACHE_BYTES) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Posting] = OrderedDict()
        self._bytes = 0
        self._tails = (_Tail(start), _Tail(start))

    def add(self, row: int, counts: Counter[str]) -> None:
        """Notes the terms of a new row, before the row is published."""
        if row - self._tails[1].start >= TAIL_ROWS:
            self._tails = (self._tails[1], _Tail(row))
        terms = self._tails[1].terms
        for term, count in counts.items():
            rows, tallies = terms.setdefault(term, ([], []))
            # The count first: a reader that sees the row finds its count.
            tallies.append(count)
            rows.append(row)

    def get(self, connection: apsw.Connection, term: str, slots: Slots) -> Posting:
        """The posting of a term over the published rows, whose slots are given."""
        tails, count = self._tails, len(slots)
        with self._lock:
            posting = self._kept.get(term)
            if posting is not None:
                self._kept.move_to_end(term)
        fresh = posting is not None and posting.upto >= tails[0].start
        known = posting if fresh and posting is not None else _read(connection, term, slots)
        if known.upto < count:
            known = _topped(known, term, tails, count)
        if known is not posting:
            self._keep(term, known)
        return _cut(known, count)

    def _keep(self, term: str, posting: Posting) -> None:
        with self._lock:
            old = self._kept.pop(term, None)
            if old is not None and old.upto > posting.upto:
                posting = old
            self._bytes += posting.size - (old.size if old else 0)
            self._kept[term] = posting
            while self._bytes > self._budget and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.size


def _read(connection: apsw.Connection, term: str, slots: Slots) -> Posting:
    # The full-text index is behind, and the connection may look at an older moment: the rest is left to the tail.
    upto = int(np.searchsorted(slots, indexed_upto(connection), side="right"))
    text: str | None = connection.execute(_DOCUMENTS, (term,)).get
    if text is None:
        return Posting(np.empty(0, np.int32), np.empty(0, np.int32), upto)
    documents, counts = np.unique(np.fromstring(text, dtype=np.int64, sep=","), return_counts=True)
    rows = np.searchsorted(slots, documents)
    known = rows < upto
    known[known] = slots[rows[known]] == documents[known]
    return Posting(rows[known].astype(np.int32), counts[known].astype(np.int32), upto)


def _topped(posting: Posting, term: str, tails: tuple[_Tail, _Tail], count: int) -> Posting:
    rows, counts = [posting.rows], [posting.counts]
    for tail in tails:
        held, tallies = tail.terms.get(term, ((), ()))
        length = len(held)
        start, end = bisect_left(held, posting.upto, 0, length), bisect_left(held, count, 0, length)
        if start < end:
            rows.append(np.array(held[start:end], np.int32))
            counts.append(np.array(tallies[start:end], np.int32))
    # Rows between what was read and the first one the tail has were written too long ago for it: read again next time.
    whole = count if posting.upto >= tails[0].start else posting.upto
    if len(rows) == 1:
        return Posting(posting.rows, posting.counts, whole)
    return Posting(np.concatenate(rows), np.concatenate(counts), whole)


def _cut(posting: Posting, count: int) -> Posting:
    if not len(posting.rows) or posting.rows[-1] < count:
        return posting
    end = int(np.searchsorted(posting.rows, count))
    return Posting(posting.rows[:end], posting.counts[:end], count)

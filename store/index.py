"""What a search works on: every living memory as columns in memory, loaded from SQL and kept up with each commit.

Rows are only ever appended, in the order of their slots, and published by their count; readers take a `view` and
need no lock. What changes in a published row (whether it lives, its neighbours, its group) changes in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import apsw
import numpy as np

from hiveminddb.store.columns import NONE, Columns, Floats, VectorTable
from hiveminddb.store.cues import NUMBER_WORDS, TIME_WORDS, ends_in_question, has_name, index_text, name_word
from hiveminddb.store.neighbours import Neighbours, Order
from hiveminddb.store.postings import Postings, Tokenizer
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.vectors import Living
from hiveminddb.store.view import Codes, View

_FEWEST = 64
_DIGITS = "0123456789"

_LOAD = (
    "SELECT slot, id, topic, position, created_at, user_id, agent_id, session_id, speaker, memory_type,"
    " text, body_start, body_end"
    " FROM memories WHERE listed AND invalidated_at IS NULL ORDER BY slot"
)
_LENGTHS = "SELECT id, sz FROM entries_docsize"


# Not frozen: every write makes one.
@dataclass(slots=True)
class Entry:
    """A living memory as the index takes it."""

    slot: int
    id: str
    content: str
    topic: str
    position: str
    created_at: int
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    memory_type: str = "fact"

    @classmethod
    def of(cls, row: MemoryRow, slot: int) -> Entry:
        """The entry of a row that was put at a slot."""
        return cls(
            slot, row.id, row.content, row.topic, row.position, row.created_at,
            row.user_id, row.agent_id, row.session_id, row.speaker, row.memory_type,
        )  # fmt: skip


class Index:
    """The living memories in memory; `apply`, `put_vectors` and `use_vectors` on the writer's thread only."""

    def __init__(self) -> None:
        names = ("topic", "user_id", "agent_id", "session_id", "speaker", "memory_type")
        self.codes = {name: Codes() for name in names}
        self.groups = Codes()
        self.speaker_words: list[str | None] = []
        self.ids: list[str] = []
        self.tokenizer = Tokenizer()
        self.postings = Postings(0)
        self.vectors: VectorTable | None = None
        self._positions: list[str] = []
        self._columns = Columns.empty(_FEWEST)
        self._count = 0
        self._rows: dict[int, int] = {}
        self._neighbours = Neighbours(self._order)
        self._time_terms = frozenset(self.tokenizer.terms(" ".join(TIME_WORDS)))
        self._number_terms = frozenset(self.tokenizer.terms(" ".join(NUMBER_WORDS)))

    def view(self) -> View:
        """The index as it is now."""
        # The count first: whatever is read after it has at least that many rows. The groups are copied before they
        # are counted: a row may move to a new one meanwhile.
        count = self._count
        columns = self._columns.first(count)
        columns = replace(columns, group=columns.group.copy())
        return View(columns, count, len(self.groups), self.codes, self.speaker_words, self.ids)

    def __len__(self) -> int:
        return len(self._rows)

    # -- changes

    def apply(self, entries: Sequence[Entry], retired: Sequence[int] = ()) -> None:
        """Takes in what was committed: entries with new or known slots, and slots that are no longer searched."""
        for slot in retired:
            self._retire(slot)
        for entry in sorted(entries, key=lambda entry: entry.slot):
            row = self._rows.get(entry.slot)
            if row is None:
                self._append(entry)
            else:
                self._unlink(row)
                self._describe(row, entry)
                self._link(row)

    def put_vectors(self, slot: int, vectors: Floats) -> None:
        """The passages of a memory under the model in use; ignored for a slot that has gone meanwhile."""
        row = self._rows.get(slot)
        if row is not None and self.vectors is not None:
            self.vectors.put(row, np.atleast_2d(np.asarray(vectors, np.float32)))

    def use_vectors(self, dimensions: int, living: Living | None = None) -> None:
        """Turns to another model's vectors."""
        table = VectorTable(dimensions)
        if living is not None and len(living.slots):
            rows = np.array([self._rows.get(slot, NONE) for slot in living.slots.tolist()], np.int32)
            known = rows != NONE
            table.fill(rows[known], living.matrix[known] if not known.all() else living.matrix)
        self.vectors = table

    def _append(self, entry: Entry) -> None:
        row = self._count
        self._place(row, entry)
        counts = Counter(self.tokenizer.terms(index_text(entry.content)))
        self.postings.add(row, counts)
        self._columns.length[row] = counts.total()
        self._columns.timed[row] = not self._time_terms.isdisjoint(counts)
        self._columns.counted[row] = not self._number_terms.isdisjoint(counts) or any(t[0] in _DIGITS for t in counts)
        self._link(row)
        self._count = row + 1

    def _place(self, row: int, entry: Entry) -> None:
        """A new row, but for its terms and its neighbours."""
        if row == len(self._columns.slot):
            self._columns = self._columns.grown(2 * row)
        columns = self._columns
        columns.slot[row], columns.alive[row] = entry.slot, True
        columns.asks[row] = ends_in_question(entry.content)
        columns.naming[row] = has_name(entry.content)
        self.ids.append(entry.id)
        self._positions.append(entry.position)
        self._rows[entry.slot] = row
        self._describe(row, entry)

    def _describe(self, row: int, entry: Entry) -> None:
        """Everything of a row that may change while its text does not."""
        columns, codes = self._columns, self.codes
        columns.topic[row] = codes["topic"].of(entry.topic)
        columns.user[row] = codes["user_id"].of(entry.user_id)
        columns.agent[row] = codes["agent_id"].of(entry.agent_id)
        columns.session[row] = codes["session_id"].of(entry.session_id)
        columns.speaker[row] = self._speaker(entry.speaker)
        columns.kind[row] = codes["memory_type"].of(entry.memory_type)
        columns.created[row] = entry.created_at
        columns.group[row] = self.groups.of(group_key(entry.user_id, entry.session_id, entry.topic))
        self._positions[row] = entry.position

    def _speaker(self, name: str | None) -> int:
        if name is not None and self.codes["speaker"].get(name) is None:
            self.speaker_words.append(name_word(name))
        return self.codes["speaker"].of(name)

    def _retire(self, slot: int) -> None:
        row = self._rows.pop(slot, None)
        if row is None:
            return
        self._columns.alive[row] = False
        self._unlink(row)
        if self.vectors is not None:
            self.vectors.drop(row)

    # -- neighbours

    def _order(self, row: int) -> Order:
        """The place of a row in its group: in a session by time, in a topic as the file has them."""
        columns = self._columns
        created = int(columns.created[row]) if columns.session[row] != NONE else 0
        return created, self._positions[row], self.ids[row]

    def _link(self, row: int) -> None:
        columns = self._columns
        before, after = self._neighbours.put(row, int(columns.group[row]))
        columns.previous[row], columns.next[row] = before, after
        if before != NONE:
            columns.next[before] = row
        if after != NONE:
            columns.previous[after] = row

    def _unlink(self, row: int) -> None:
        columns = self._columns
        before, after = self._neighbours.drop(row, int(columns.group[row]))
        if before != NONE:
            columns.next[before] = after
        if after != NONE:
            columns.previous[after] = before
        columns.previous[row] = columns.next[row] = NONE

    # -- loading

    @classmethod
    def load(cls, connection: apsw.Connection) -> Index:
        """The index of all that the database holds, without vectors."""
        index = cls()
        for row, values in enumerate(connection.execute(_LOAD)):
            slot, id, *fields, text, start, end = values
            index._place(row, Entry(slot, id, text[start:end], *fields))
        count = len(index.ids)
        index.postings = Postings(count)
        index._load_terms(connection)
        index._load_links(count)
        index._count = count
        return index

    def _load_terms(self, connection: apsw.Connection) -> None:
        columns = self._columns
        for slot, size in connection.execute(_LENGTHS):
            if (row := self._rows.get(slot)) is not None:
                columns.length[row] = _varint(size)
        for flags, words in ((columns.timed, TIME_WORDS), (columns.counted, [*NUMBER_WORDS, *_DIGITS])):
            match = " OR ".join(f'"{word}"' + "*" * word.isdigit() for word in words)
            for (slot,) in connection.execute("SELECT rowid FROM entries WHERE entries MATCH ?", (match,)):
                if (row := self._rows.get(slot)) is not None:
                    flags[row] = True

    def _load_links(self, count: int) -> None:
        columns = self._columns
        groups = columns.group.tolist()
        columns.previous[:count] = columns.next[:count] = NONE
        before, rows = NONE, sorted(range(count), key=lambda row: (groups[row], self._order(row)))
        for row in rows:
            if before != NONE and groups[before] == groups[row]:
                columns.previous[row], columns.next[before] = before, row
            before = row
        self._neighbours.fill((row, groups[row]) for row in rows)


def group_key(user_id: str | None, session_id: str | None, topic: str) -> tuple[str | None, bool, str]:
    """Who lends each other score: the entries of a session, or of a topic, of one user; never two users'."""
    return user_id, session_id is not None, topic if session_id is None else session_id


def _varint(data: bytes) -> int:
    """The number FTS5 keeps a length as: seven bits a byte, the greatest first."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value

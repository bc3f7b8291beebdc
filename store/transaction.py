"""What a write function may do: the one place where rows of `changes` and their projections come to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import apsw

from hiveminddb.model import Change
from hiveminddb.store import changes, memories, vault_state
from hiveminddb.store.commits import Base
from hiveminddb.store.counters import Counters
from hiveminddb.store.fulltext import NOTHING, FullText, Waiting
from hiveminddb.store.order import Order
from hiveminddb.store.outbox import Kind
from hiveminddb.store.rows import COLUMNS, PLACEHOLDERS, MemoryRow, bindings_of

T = TypeVar("T")

_APPEND = (
    'INSERT INTO changes (n, origin, counter, document, kind, action, actor, reason, hlc, "update")'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DOCUMENT = (
    "INSERT INTO documents (id, kind, n, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET n = excluded.n, state = excluded.state"
)
_MEMORY = f"INSERT INTO memories ({COLUMNS}, n) VALUES ({PLACEHOLDERS}, ?)"
_CHANGED = f"UPDATE memories SET ({COLUMNS}, n) = ({PLACEHOLDERS}, ?) WHERE id = ?"
# Of one row, not of a SELECT: to be able to undo that, SQLite walks all that the transaction has changed so far.
_KEEP = (
    "INSERT INTO past (document, n, version, text, body_start, body_end, topic, position, alive)"
    " VALUES (?1, (SELECT n FROM memories WHERE id = ?1), ?, ?, ?, ?, ?, ?, ?)"
)
# What came before a document was whole: versions of nothing.
_NOTHING = (
    "INSERT INTO past (document, n, version, body_start, body_end, topic, position, alive)"
    " VALUES (?, ?, ?, 0, 0, ?, ?, 0)"
)
_TAG = "INSERT INTO memory_tags (tag, id) VALUES (?, ?)"
_MARK: dict[Kind, str] = {
    "mirror": "INSERT INTO to_mirror (topic, n) VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET n = excluded.n",
    "embed": "INSERT OR IGNORE INTO to_embed (document, n) VALUES (?, ?)",
}
_UNMARK: dict[Kind, str] = {
    "mirror": "DELETE FROM to_mirror WHERE topic = ? AND n = ?",
    "embed": "DELETE FROM to_embed WHERE document = ? AND n = ?",
}


class Skipped(Enum):
    """Why a change was not appended."""

    KNOWN = "the log has it"
    GAP = "changes of its origin before it are lacking"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a memory was put: its slot in the index, its version, and the row it replaced, None for a new one."""

    slot: int
    version: int
    old: MemoryRow | None


class Transaction:
    """The `tx` given to write functions: valid only inside them, on the writer's thread."""

    def __init__(
        self, connection: apsw.Connection, counters: Counters | None = None, waiting: Waiting = NOTHING
    ) -> None:
        self.connection = connection
        self.counters = counters or Counters(connection)
        self.marking = True
        self._cursor = connection.cursor()
        self._callbacks: list[Callable[[], None]] = []
        self.fulltext = FullText(connection, waiting)

    # -- the log

    def next_counter(self, origin: str) -> int:
        """The counter the next change of an origin must carry."""
        return self.counters.last_counter(origin) + 1

    def append_change(self, change: Change) -> int | Skipped:
        """Appends to the log the next change of its origin: its place there, or why it was not taken."""
        following = self.next_counter(change.origin)
        if change.counter != following:
            return Skipped.KNOWN if change.counter < following else Skipped.GAP
        return self.append_new([change])[0]

    def append_new(self, new: Sequence[Change]) -> range:
        """Appends changes of one origin whose counters follow `next_counter`; their places in the log."""
        n = self.counters.n
        self._cursor.executemany(
            _APPEND,
            (
                (n + i, c.origin, c.counter, c.document, c.kind, c.action, c.actor, c.reason, c.hlc, c.update)
                for i, c in enumerate(new, start=1)
            ),
        )
        self.counters.n += len(new)
        if new:
            origin = new[0].origin
            self.counters.vector[origin] = new[-1].counter
            if self.sole:
                self.order.take(origin, 1, new[-1].counter)
        return range(n + 1, self.counters.n + 1)

    # -- the order

    @property
    def order(self) -> Order:
        """The swarm's order, and the steps by which it grows."""
        return self.counters.order

    @property
    def sole(self) -> bool:
        """Whether this node alone gives positions: what is appended then takes the next one at once."""
        return self.order.sole

    def decide_alone(self) -> None:
        """From here on this node alone gives positions, first to what is pending."""
        self.order.set_sole(True)
        for origin, counter in sorted(self.counters.vector.items()):
            self.order.take(origin, 1, counter)

    def cede(self) -> Base:
        """This node gives no positions any more; how far the order goes. Nobody does before the step that says so."""
        self.order.set_sole(False)
        return Base(self.order.seq, dict(self.order.ordered))

    # -- documents

    def state(self, document: str) -> bytes | None:
        """What the changes of a document merge to, None for an unknown document."""
        return changes.document_state(self.connection, document)

    def put_document(self, document: str, kind: str, n: int, state: bytes) -> None:
        """The state after change `n`; not needed after a document's first, whose update is the state."""
        self._cursor.execute(_DOCUMENT, (document, kind, n, state))

    # -- memories

    def memory(self, id: str) -> MemoryRow | None:
        """The memory with exactly that id, invalidated ones too."""
        return memories.memory(self.connection, id)

    def entries_of(self, topic: str) -> list[MemoryRow]:
        """The living memories of a file in its order."""
        return memories.entries_of(self.connection, topic)

    def last_position(self, topic: str) -> str | None:
        """The greatest position used in a file, None for a file without memories."""
        return memories.last_position(self.connection, topic)

    def add_memories(self, new: Sequence[Change], rows: Sequence[MemoryRow]) -> range:
        """Appends the first changes of new documents and puts their memories, fast; their places in the log."""
        places = self.append_new(new)
        self.put_new(rows, places)
        return places

    def put_new(self, rows: Sequence[MemoryRow], places: Sequence[int]) -> range:
        """Puts memories no row exists of yet, each made by the change at its place; their slots."""
        slot = self.counters.slot + 1
        self.counters.slot += len(rows)
        slots = range(slot, slot + len(rows))
        cursor = self._cursor
        cursor.executemany(
            _MEMORY, ((*bindings_of(row, slot, 1), n) for row, slot, n in zip(rows, slots, places, strict=True))
        )
        if tags := [(tag, row.id) for row in rows for tag in set(row.tags)]:
            cursor.executemany(_TAG, tags)
        self.fulltext.put((slot, row.content) for row, slot in zip(rows, slots, strict=True) if row.indexed)
        self._mark_new(rows, places)
        return slots

    def put_memory(self, row: MemoryRow, n: int) -> Placement:
        """Puts a memory as change `n` left it; what it was before goes to its past."""
        old = self.memory(row.id)
        if old is None:
            return self._put_first(row, n)
        text = old.text if row.text != old.text else None
        place = (old.body_start, old.body_end, old.topic, old.position, old.alive)
        self._cursor.execute(_KEEP, (old.id, old.version, text, *place))
        slot, version = self._slot_after(old, row), old.version + 1
        self._cursor.execute(_CHANGED, (*bindings_of(row, slot, version), n, row.id))
        self._retag(old, row)
        self._reindex(old, row, slot)
        self._mark_changed(old, row, n, slot)
        return Placement(slot, version, old)

    def _put_first(self, row: MemoryRow, n: int) -> Placement:
        """Puts a memory that has no row; changes that came before the one that made it are versions of nothing."""
        slot = self.put_new([row], [n])[0]
        earlier = [place for place in changes.places_of(self.connection, row.id) if place < n]
        if earlier:
            versions = ((row.id, place, at, row.topic, row.position) for at, place in enumerate(earlier, 1))
            self._cursor.executemany(_NOTHING, versions)
            self._cursor.execute("UPDATE memories SET version = ? WHERE id = ?", (len(earlier) + 1, row.id))
        return Placement(slot, len(earlier) + 1, None)

    def refresh_memory(self, old: MemoryRow, row: MemoryRow) -> None:
        """Puts a memory whose file's defaults changed: other values, the same change and text, no new version."""
        assignments = f"UPDATE memories SET ({COLUMNS}) = ({PLACEHOLDERS}) WHERE id = ?"
        self._cursor.execute(assignments, (*bindings_of(row, old.slot, old.version), row.id))
        self._retag(old, row)

    def _slot_after(self, old: MemoryRow, row: MemoryRow) -> int:
        """A text, or one that comes back to the index, gets a place of its own there; places are never used again."""
        if row.text == old.text and row.body_start == old.body_start and (old.indexed or not row.indexed):
            return old.slot
        self.counters.slot += 1
        return self.counters.slot

    def _retag(self, old: MemoryRow, row: MemoryRow) -> None:
        before, after = set(old.tags), set(row.tags)
        for tag in before - after:
            self._cursor.execute("DELETE FROM memory_tags WHERE tag = ? AND id = ?", (tag, row.id))
        for tag in after - before:
            self._cursor.execute(_TAG, (tag, row.id))

    def _reindex(self, old: MemoryRow, row: MemoryRow, slot: int) -> None:
        if old.indexed and (slot != old.slot or not row.indexed):
            self.fulltext.drop(old.slot)
        if row.indexed and slot != old.slot:
            self.fulltext.put([(slot, row.content)])

    # -- the outbox

    def mark(self, kind: Kind, key: str, n: int) -> None:
        """Asks a consumer for work; the mark of a file that is there already moves on to change `n`."""
        self._cursor.execute(_MARK[kind], (key, n))

    def unmark(self, kind: Kind, key: str, n: int) -> bool:
        """Work done as of change `n`; False when more was asked for meanwhile and the mark stays."""
        self.connection.execute(_UNMARK[kind], (key, n))
        return self.connection.changes() > 0

    def _mark_new(self, rows: Sequence[MemoryRow], places: Sequence[int]) -> None:
        if not self.marking:
            return
        files = {row.topic: n for row, n in zip(rows, places, strict=True) if row.alive}
        self._cursor.executemany(_MARK["mirror"], files.items())
        texts = ((row.id, n) for row, n in zip(rows, places, strict=True) if row.indexed)
        self._cursor.executemany(_MARK["embed"], texts)

    def _mark_changed(self, old: MemoryRow, row: MemoryRow, n: int, slot: int) -> None:
        if not self.marking:
            return
        if (old.text, old.topic, old.position, old.alive) != (row.text, row.topic, row.position, row.alive):
            for topic in {old.topic, row.topic}:
                self.mark("mirror", topic, n)
        if row.indexed and slot != old.slot:
            self.mark("embed", row.id, n)

    # -- the vault's state, and small facts

    def put_vault_file(self, file: vault_state.VaultFile) -> None:
        """Remembers what a file is now."""
        vault_state.put_vault_file(self.connection, file)

    def drop_vault_file(self, topic: str) -> None:
        """Forgets a file that is gone."""
        vault_state.drop_vault_file(self.connection, topic)

    def put_vault_base(self, base: vault_state.VaultBase, keep: int) -> None:
        """Remembers a recent text of a file, and forgets all but the newest `keep`."""
        vault_state.put_vault_base(self.connection, base, keep)

    def drop_vault_base(self, base: vault_state.VaultBase) -> None:
        """Forgets a text that never came to be in the file."""
        vault_state.drop_vault_base(self.connection, base)

    def set_meta(self, key: str, value: str) -> None:
        """Keeps a small fact under a name."""
        self._cursor.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    # -- the course of a transaction

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Runs on the writer's thread once all this is durable, in order, before any caller is answered."""
        self._callbacks.append(callback)

    def run(self, work: Callable[[Transaction], T]) -> T:
        """The work's result; when it raises, all it did is undone and nothing that others did."""
        callbacks, flushed = len(self._callbacks), self.fulltext.begin()
        self._cursor.execute("SAVEPOINT work")
        try:
            result = work(self)
        except BaseException:
            self._undo()
            del self._callbacks[callbacks:]
            self.fulltext.undo(flushed)
            raise
        self._cursor.execute("RELEASE work")
        return result

    def _undo(self) -> None:
        self.marking = True
        # A full disk may have made SQLite give up the whole transaction.
        if self.connection.in_transaction:
            self._cursor.execute("ROLLBACK TO work; RELEASE work")
            self.counters = Counters(self.connection)

    def flush_index(self) -> None:
        """Brings the full-text index up to date with what was put so far, here and by those before."""
        self.fulltext.flush(self.counters.slot)

    def committed(self) -> list[Callable[[], None]]:
        """The callbacks to run now that all is durable."""
        return self._callbacks

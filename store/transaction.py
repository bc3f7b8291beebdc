"""What a write function may do: the one place where rows of `changes` and their projections come to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import apsw

from hiveminddb.model import Change
from hiveminddb.store import changes, memories, vault_state
from hiveminddb.store.counters import Counters
from hiveminddb.store.fulltext import FullText, Text
from hiveminddb.store.outbox import Kind
from hiveminddb.store.rows import COLUMNS, PLACEHOLDERS, MemoryRow, bindings_of

T = TypeVar("T")

_APPEND = (
    'INSERT INTO changes (n, origin, counter, document, kind, action, actor, reason, hlc, seq, "update")'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DOCUMENT = (
    "INSERT INTO documents (id, kind, n, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET n = excluded.n, state = excluded.state"
)
_MEMORY = f"INSERT INTO memories ({COLUMNS}) VALUES ({PLACEHOLDERS})"
_VERSION = (
    "INSERT INTO versions (document, n, version, body_start, body_end, topic, position, alive)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEEP_OLD_TEXT = (
    "UPDATE versions SET text = ?2 WHERE document = ?1 AND n = (SELECT max(n) FROM versions WHERE document = ?1)"
)
_TAG = "INSERT INTO memory_tags (tag, id) VALUES (?, ?)"
_MARK = "INSERT INTO outbox (kind, key, n) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET n = excluded.n"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a memory was put: its slot in the index, its version, and the row it replaced, None for a new one."""

    slot: int
    version: int
    old: MemoryRow | None


class Transaction:
    """The `tx` given to write functions: valid only inside them, on the writer's thread."""

    def __init__(
        self, connection: apsw.Connection, counters: Counters | None = None, waiting: Sequence[Text] = ()
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

    def append_change(self, change: Change) -> int | None:
        """Appends to the log and gives it the next place in the order; None when the log has it already."""
        if self._known(change):
            return None
        self._append([change])
        return self.counters.n

    def append_new(self, new: Sequence[Change]) -> range:
        """Appends changes whose counters follow `next_counter`; their places in the log."""
        first = self.counters.n + 1
        self._append(new)
        return range(first, self.counters.n + 1)

    def _known(self, change: Change) -> bool:
        if change.counter > self.counters.last_counter(change.origin):
            return False
        key = (change.origin, change.counter)
        found = self.connection.execute("SELECT 1 FROM changes WHERE origin = ? AND counter = ?", key).fetchone()
        return found is not None

    def _append(self, new: Sequence[Change]) -> None:
        n, seq = self.counters.n, self.counters.seq
        self._cursor.executemany(
            _APPEND,
            (
                (n + i, c.origin, c.counter, c.document, c.kind, c.action, c.actor, c.reason, c.hlc, seq + i, c.update)
                for i, c in enumerate(new, start=1)
            ),
        )
        self.counters.n, self.counters.seq = n + len(new), seq + len(new)
        for change in new:
            self.counters.saw(change.origin, change.counter)

    @property
    def seq(self) -> int:
        """The last position of the committed order, the one of the change appended last."""
        return self.counters.seq

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
        cursor.executemany(_MEMORY, (bindings_of(row, slot, 1) for row, slot in zip(rows, slots, strict=True)))
        cursor.executemany(_VERSION, (_version(row, n, 1) for row, n in zip(rows, places, strict=True)))
        if tags := [(tag, row.id) for row in rows for tag in set(row.tags)]:
            cursor.executemany(_TAG, tags)
        self.fulltext.put((slot, row.content) for row, slot in zip(rows, slots, strict=True) if row.indexed)
        self._mark_new(rows, places)
        return slots

    def put_memory(self, row: MemoryRow, n: int) -> Placement:
        """Puts a memory as change `n` left it; what it was before goes to its versions."""
        old = self.memory(row.id)
        if old is None:
            return Placement(self.put_new([row], [n])[0], 1, None)
        if row.text != old.text:
            self._cursor.execute(_KEEP_OLD_TEXT, (row.id, old.text))
        slot, version = self._slot_after(old, row), old.version + 1
        assignments = f"UPDATE memories SET ({COLUMNS}) = ({PLACEHOLDERS}) WHERE id = ?"
        self._cursor.execute(assignments, (*bindings_of(row, slot, version), row.id))
        self._cursor.execute(_VERSION, _version(row, n, version))
        self._retag(old, row)
        self._reindex(old, row, slot)
        self._mark_changed(old, row, n, slot)
        return Placement(slot, version, old)

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
        """Asks a consumer for work; a mark already there moves on to change `n`."""
        self._cursor.execute(_MARK, (kind, key, n))

    def unmark(self, kind: Kind, key: str, n: int) -> bool:
        """Work done as of change `n`; False when more was asked for meanwhile and the mark stays."""
        self.connection.execute("DELETE FROM outbox WHERE kind = ? AND key = ? AND n = ?", (kind, key, n))
        return self.connection.changes() > 0

    def _mark_new(self, rows: Sequence[MemoryRow], places: Sequence[int]) -> None:
        if not self.marking:
            return
        files = {row.topic: n for row, n in zip(rows, places, strict=True) if row.alive}
        marks = [("mirror", topic, n) for topic, n in files.items()]
        marks += [("embed", row.id, n) for row, n in zip(rows, places, strict=True) if row.indexed]
        self._cursor.executemany(_MARK, marks)

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


def _version(row: MemoryRow, n: int, version: int) -> tuple[str | int, ...]:
    return (row.id, n, version, row.body_start, row.body_end, row.topic, row.position, row.alive)

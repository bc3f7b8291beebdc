"""A store in memory with its index, kept in step as the daemon does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import apsw
import numpy as np
import sqlite_vec

from hiveminddb.store.columns import Floats
from hiveminddb.store.filters import Filters
from hiveminddb.store.index import Entry, Index
from hiveminddb.store.rows import MemoryRow, text_hash
from hiveminddb.store.schema import migrate
from hiveminddb.store.search import Mode, Query, Scored, search
from hiveminddb.store.transaction import Transaction

DIMENSIONS = 4
_ORIGIN_TIME = 1_700_000_000_000_000


def memory(id: str, content: str, **fields: object) -> MemoryRow:
    """A row with that content alone in its text."""
    made = MemoryRow(
        id, "notes", "a0", "entry", content, 0, len(content), _ORIGIN_TIME, _ORIGIN_TIME, text_hash(content)
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def database() -> apsw.Connection:
    """An empty store in memory."""
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
    migrate(connection)
    return connection


@dataclass
class Searched:
    """The store, its index, and the vectors given so far."""

    connection: apsw.Connection = field(default_factory=database)
    index: Index = field(default_factory=Index)
    changes: int = 0

    def put(self, *rows: MemoryRow) -> None:
        """Adds or replaces memories, in one transaction."""
        entries, retired = [], []
        transaction = Transaction(self.connection)
        transaction.marking = False
        with self.connection:
            for row in rows:
                self.changes += 1
                placement = transaction.put_memory(row, self.changes)
                if row.indexed:
                    entries.append(Entry.of(row, placement.slot))
                if placement.old and (placement.old.slot != placement.slot or not row.indexed):
                    retired.append(placement.old.slot)
            transaction.flush_index()
        self.index.apply(entries, retired)

    def embed(self, id: str, *vectors: Sequence[float]) -> None:
        """Gives a memory its passages."""
        if self.index.vectors is None:
            self.index.use_vectors(DIMENSIONS)
        slot = self.connection.execute("SELECT slot FROM memories WHERE id = ?", (id,)).get
        self.index.put_vectors(slot, np.array(vectors, np.float32))

    def hits(
        self,
        text: str,
        vector: Sequence[float] | None = None,
        filters: Filters | None = None,
        limit: int = 10,
        mode: Mode = "hybrid",
        explain: bool = False,
    ) -> tuple[Scored, ...]:
        """What a search answers."""
        given: Floats | None = None if vector is None else np.array(vector, np.float32)
        query = Query(text, given, filters or Filters(), limit, mode, explain)
        return search(self.connection, self.index, query).hits

    def ids(
        self,
        text: str,
        vector: Sequence[float] | None = None,
        filters: Filters | None = None,
        limit: int = 10,
        mode: Mode = "hybrid",
    ) -> list[str]:
        """The ids of the hits, best first."""
        return [hit.id for hit in self.hits(text, vector, filters, limit, mode)]

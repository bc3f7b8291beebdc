"""Making every projection anew from the changes, through the function that made them the first time."""

from __future__ import annotations

from collections.abc import Callable

from hiveminddb.model import Change
from hiveminddb.store import changes
from hiveminddb.store.transaction import Transaction

# Projects one change into documents and memories: the same function that live writes go through.
Project = Callable[[Transaction, int, Change], object]

ENTRIES = """
CREATE VIRTUAL TABLE entries USING fts5(
    content, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE entries_terms USING fts5vocab(entries, instance);
"""

# Changes in memory at once.
_CHUNK = 500


def rebuild(tx: Transaction, project: Project) -> int:
    """Drops the projections and replays the log in its order; the number of changes. The outbox is left as it is."""
    tx.flush_index()
    for table in ("documents", "memories", "memory_tags", "past"):
        tx.connection.execute(f"DELETE FROM {table}")
    # Made anew rather than emptied: readers keep what they know of an FTS5 table until its schema changes.
    tx.connection.execute(f"DROP TABLE entries_terms; DROP TABLE entries; {ENTRIES}")
    tx.counters.slot = 0
    tx.marking = False
    replayed = last = 0
    while chunk := list(changes.in_order(tx.connection, last, _CHUNK)):
        for last, change in chunk:
            project(tx, last, change)
        tx.flush_index()
        replayed += len(chunk)
    tx.marking = True
    return replayed

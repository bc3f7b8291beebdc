"""Taking memories out of use and bringing them back. Runs on the writer thread, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hiveminddb.daemon.admission import admitted
from hiveminddb.daemon.authoring import opening
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD, invalidated
from hiveminddb.errors import Conflict
from hiveminddb.store import memories
from hiveminddb.store.rows import MemoryRow, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document
from hiveminddb.sync.encoding import new_client


def retire(
    tx: Transaction,
    pipeline: Pipeline,
    row: MemoryRow,
    author: Author,
    at: int | None = None,
    client: int | None = None,
) -> MemoryRow:
    """The memory no longer holds; its text and history stay. Conflict where that is so already."""
    if not row.alive:
        raise Conflict(f"memory {row.id} is invalidated already", "restore it first, or leave it")
    at = to_microseconds(datetime.now(UTC)) if at is None else at
    state = pipeline.state(tx, row.id)
    gone = invalidated(at, author.actor, author.reason, admitted(document.read(state)))
    return pipeline.edit(tx, row, "invalidate", author, fields={"invalidated": gone}, state=state, client=client)


def retire_topic(tx: Transaction, pipeline: Pipeline, topic: str, author: Author) -> int:
    """Every memory of the topic, at one moment, so that they can come back together; how many people would count."""
    at, client = to_microseconds(datetime.now(UTC)), new_client()
    rows = tx.entries_of(topic)
    for row in rows:
        retire(tx, pipeline, row, author, at, client)
    return sum(row.listed for row in rows)


def revive(tx: Transaction, pipeline: Pipeline, row: MemoryRow, author: Author) -> MemoryRow:
    """The memory holds again, in its old place; its file's head comes back with it where there is none."""
    if row.alive:
        raise Conflict(f"memory {row.id} is not invalidated", "nothing needs to be restored")
    revived = pipeline.edit(tx, row, "restore", author, fields={"invalidated": None})
    if row.role != HEAD:
        _restore_head(tx, pipeline, row.topic, author)
    return revived


def revive_topic(tx: Transaction, pipeline: Pipeline, topic: str, author: Author) -> int:
    """What left the topic together, the last time that something did; how many people would count."""
    gone = memories.invalidated_of(tx.connection, topic)
    last = max((row.invalidated_at or 0 for row in gone), default=0)
    together, client = [row for row in gone if row.invalidated_at == last], new_client()
    for row in together:
        pipeline.edit(tx, row, "restore", author, fields={"invalidated": None}, client=client)
    if together:
        _restore_head(tx, pipeline, topic, author)
    return sum(row.listed for row in together)


def _restore_head(tx: Transaction, pipeline: Pipeline, topic: str, author: Author) -> None:
    if any(row.role == HEAD for row in tx.entries_of(topic)):
        return
    heads = _newest(row for row in memories.invalidated_of(tx.connection, topic) if row.role == HEAD)
    if heads:
        pipeline.edit(tx, heads[0], "restore", author, fields={"invalidated": None})
    else:
        pipeline.add(tx, opening(tx, topic, topic, author.actor))


def _newest(rows: Iterable[MemoryRow]) -> list[MemoryRow]:
    return sorted(rows, key=lambda row: row.invalidated_at or 0, reverse=True)

"""Changes and rows to fill a database with, and a tiny projection that stands for the one of the daemon."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from hiveminddb.model import Change, DocumentId, NodeId
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.rows import MemoryRow, text_hash
from hiveminddb.store.transaction import Transaction

NODE = "node-a"
HEADING = "## 2025-03-01 10:00:00 UTC\n\n"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

PROJECTIONS = ("documents", "memories", "memory_tags", "past")


def new_id(random_: random.Random | None = None) -> str:
    return "".join((random_ or random).choices(_ALPHABET, k=20))


def row_of(id: str, content: str, topic: str = "notes", created_at: int = 1_000_000, **fields: Any) -> MemoryRow:
    text = f"{HEADING}{content}\n\n"
    return MemoryRow(
        id=id,
        topic=topic,
        position=fields.pop("position", f"a{created_at:020}"),
        role=fields.pop("role", "entry"),
        text=text,
        body_start=len(HEADING),
        body_end=len(text) - 2,
        created_at=created_at,
        updated_at=fields.pop("updated_at", created_at),
        text_hash=text_hash(content),
        **fields,
    )


def change_of(document: str, counter: int, origin: str = NODE, **fields: Any) -> Change:
    return Change(
        origin=NodeId(origin),
        counter=counter,
        document=DocumentId(document),
        kind=fields.get("kind", "memory"),
        action=fields.get("action", "add"),
        actor=fields.get("actor", "tester"),
        reason=fields.get("reason", ""),
        hlc=counter << 16,
        update=fields.get("update", b"update"),
    )


def share(tx: Transaction) -> None:
    """Steps give positions from here on, as where several nodes vote."""
    at = tx.cede()
    tx.order.end_alone(at.seq, at.ordered)


def add(tx: Transaction, *rows: MemoryRow) -> range:
    """Adds memories the way a bulk write does."""
    first = tx.next_counter(NODE)
    return tx.add_memories([change_of(row.id, first + i) for i, row in enumerate(rows)], rows)


def alter(tx: Transaction, row: MemoryRow, action: str = "update") -> int:
    """Puts a row as the next change of its memory."""
    n = tx.append_change(change_of(row.id, tx.next_counter(NODE), action=action))
    assert isinstance(n, int)
    tx.put_document(row.id, "memory", n, b"state")
    tx.put_memory(row, n)
    return n


def packed(document: str, **fields: Any) -> bytes:
    """An update as the tiny projection reads it: the fields a row is made of."""
    return json.dumps({"id": document, **fields}, sort_keys=True).encode()


def project(tx: Transaction, n: int, change: Change) -> None:
    """Field-wise, the last change wins: enough of a merge to see that a rebuild takes the same steps."""
    before = tx.state(change.document)
    fields = json.loads(change.update)
    old = tx.memory(change.document)
    if old is not None:
        assert before is not None
        fields = {**json.loads(before), **fields}
        tx.put_document(change.document, change.kind, n, json.dumps(fields, sort_keys=True).encode())
    fields["tags"] = tuple(fields.get("tags", ()))
    tx.put_memory(row_of(**fields), n)


def dump(connection: Connection, tables: Sequence[str] = PROJECTIONS) -> dict[str, list[Any]]:
    """Every row of those tables, and every term of the full-text index."""
    rows: dict[str, list[Any]] = {
        table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables
    }
    rows["indexed"] = connection.execute("SELECT id, sz FROM entries_docsize ORDER BY id").fetchall()
    rows["terms"] = connection.execute("SELECT * FROM entries_terms ORDER BY term, doc, offset").fetchall()
    return rows


async def find(database: Database, words: str) -> list[str]:
    """The ids the full-text index has for those words, once it has caught up."""
    await database.write(Transaction.flush_index)
    return await database.read(lambda connection: found(connection, words))


def found(connection: Connection, words: str) -> list[str]:
    """The ids the full-text index has for those words."""
    rows = connection.execute(
        "SELECT m.id FROM entries e JOIN memories m ON m.slot = e.rowid WHERE entries MATCH ? ORDER BY m.id", (words,)
    )
    return [id for (id,) in rows]

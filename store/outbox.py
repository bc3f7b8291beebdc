"""What is still to be done for changes already committed: durable marks, taken by consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import apsw

Kind = Literal["mirror", "embed"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to do: `key` is a topic ("mirror") or a document id ("embed"), `n` the change that asked last."""

    id: int
    kind: Kind
    key: str
    n: int


def pending(connection: apsw.Connection, kind: Kind, limit: int, after: int = 0) -> list[Mark]:
    """The oldest marks of a kind, those with a greater id than `after`."""
    rows = connection.execute(
        "SELECT id, kind, key, n FROM outbox WHERE kind = ? AND id > ? ORDER BY id LIMIT ?", (kind, after, limit)
    )
    return [Mark(*row) for row in rows]


def pending_count(connection: apsw.Connection, kind: Kind) -> int:
    """How many marks of a kind there are."""
    return int(connection.execute("SELECT count(*) FROM outbox WHERE kind = ?", (kind,)).get)


def pending_mark(connection: apsw.Connection, kind: Kind, key: str) -> Mark | None:
    """The mark on one thing, None when nothing is to be done for it."""
    row = connection.execute("SELECT id, kind, key, n FROM outbox WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    return Mark(*row) if row else None

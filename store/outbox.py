"""What is still to be done for changes already committed: durable marks, taken by consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import apsw

Kind = Literal["mirror", "embed"]

_COLUMNS: dict[Kind, str] = {"mirror": "topic, n FROM to_mirror", "embed": "document, n FROM to_embed"}
_WORDS: dict[Kind, str] = {"mirror": "topic", "embed": "document"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to do for change `n`: `key` is a topic ("mirror", one mark each) or a document id ("embed")."""

    kind: Kind
    key: str
    n: int


def pending(connection: apsw.Connection, kind: Kind, limit: int, after: Mark | None = None) -> list[Mark]:
    """The marks of a kind by their changes, the oldest first; those that follow one."""
    n, key = (after.n, after.key) if after else (-1, "")
    word = _WORDS[kind]
    rows = connection.execute(
        f"SELECT {_COLUMNS[kind]} WHERE n >= ?1 AND (n > ?1 OR {word} > ?2) ORDER BY n, {word} LIMIT ?3",
        (n, key, limit),
    )
    return [Mark(kind, key, n) for key, n in rows]


def pending_count(connection: apsw.Connection, kind: Kind) -> int:
    """How many marks of a kind there are."""
    return int(connection.execute(f"SELECT count(*) FROM to_{kind}").get)


def pending_mark(connection: apsw.Connection, topic: str) -> Mark | None:
    """The mark on a file, None when nothing is to be done for it."""
    row = connection.execute("SELECT n FROM to_mirror WHERE topic = ?", (topic,)).fetchone()
    return Mark("mirror", topic, row[0]) if row else None

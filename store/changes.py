"""The change log: the only truth, append-only; every other table is made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from hiveminddb.model import Action, Change

_COLUMNS = 'origin, counter, document, kind, action, actor, reason, hlc, "update"'
_STATE = (
    "SELECT coalesce((SELECT state FROM documents WHERE id = ?1),"
    ' (SELECT "update" FROM changes WHERE document = ?1 ORDER BY n LIMIT 1))'
)


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A line of the change feed; `n` is its place in this node's log, `topic` the one its memory then had."""

    n: int
    seq: int | None
    document: str
    kind: str
    action: Action
    actor: str
    reason: str
    hlc: int
    topic: str | None


def changes_of(connection: apsw.Connection, document: str, upto: int | None = None) -> list[Change]:
    """The changes of a document in local order, those up to and with `upto` where it is given."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM changes WHERE document = ? AND n <= ? ORDER BY n", (document, _last(upto))
    )
    return [Change(*row) for row in rows]


def change(connection: apsw.Connection, n: int) -> Change | None:
    """The change at a place in the log."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM changes WHERE n = ?", (n,)).fetchone()
    return Change(*row) if row else None


def places_of(connection: apsw.Connection, document: str) -> list[int]:
    """Where in the log the changes of a document are."""
    return [n for (n,) in connection.execute("SELECT n FROM changes WHERE document = ? ORDER BY n", (document,))]


def in_order(connection: apsw.Connection, after: int, limit: int) -> Iterator[tuple[int, Change]]:
    """The changes that follow a place in the log, with their places."""
    rows = connection.execute(f"SELECT n, {_COLUMNS} FROM changes WHERE n > ? ORDER BY n LIMIT ?", (after, limit))
    return ((row[0], Change(*row[1:])) for row in rows)


def feed(connection: apsw.Connection, after: int, limit: int) -> list[LoggedChange]:
    """What happened after a place in the log, oldest first."""
    rows = connection.execute(
        "SELECT c.n, c.seq, c.document, c.kind, c.action, c.actor, c.reason, c.hlc, v.topic FROM changes c"
        " LEFT JOIN versions v ON v.document = c.document AND v.n = c.n WHERE c.n > ? ORDER BY c.n LIMIT ?",
        (after, limit),
    )
    return [LoggedChange(*row) for row in rows]


def last_change(connection: apsw.Connection) -> int:
    """The place of the newest change, 0 when there is none."""
    return int(connection.execute("SELECT coalesce(max(n), 0) FROM changes").get)


def last_seq(connection: apsw.Connection) -> int:
    """The last position of the committed order, 0 when there is none."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM changes WHERE seq IS NOT NULL").get)


def last_hlc(connection: apsw.Connection) -> int:
    """The highest hybrid time any change carries, 0 when there is none; walks the whole log."""
    return int(connection.execute("SELECT coalesce(max(hlc), 0) FROM changes").get)


def document_state(connection: apsw.Connection, document: str) -> bytes | None:
    """What the changes of a document merge to, None for an unknown document."""
    state: bytes | None = connection.execute(_STATE, (document,)).get
    return state


def _last(upto: int | None) -> int:
    return (1 << 62) if upto is None else upto

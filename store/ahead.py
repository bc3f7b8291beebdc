"""Changes that consensus has ordered before those they follow were known here: kept until these come.

A voter acknowledges a change by its log alone, and forgets that log in time: what does not fit yet must not be lost
with it.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from hiveminddb.model import Change, NodeId

_COLUMNS = 'origin, counter, document, kind, action, actor, reason, hlc, "update"'


def keep(connection: apsw.Connection, changes: Iterable[Change]) -> None:
    """Keeps changes beyond a gap; harmless for those kept already."""
    connection.executemany(
        f"INSERT OR IGNORE INTO ahead ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (it.origin, it.counter, it.document, it.kind, it.action, it.actor, it.reason, it.hlc, it.update)
            for it in changes
        ),
    )


def origins(connection: apsw.Connection) -> list[NodeId]:
    """Whose changes are kept."""
    return [NodeId(origin) for (origin,) in connection.execute("SELECT DISTINCT origin FROM ahead")]


def take(connection: apsw.Connection, origin: str, after: int, most: int) -> list[Change]:
    """At most so many that follow a counter without a gap, kept no longer; older ones are forgotten with them."""
    found: list[Change] = []
    query = f"SELECT {_COLUMNS} FROM ahead WHERE origin = ? AND counter > ? ORDER BY counter LIMIT ?"
    for row in connection.execute(query, (origin, after, most)):
        change = Change(*row)
        if change.counter != after + len(found) + 1:
            break
        found.append(change)
    connection.execute("DELETE FROM ahead WHERE origin = ? AND counter <= ?", (origin, after + len(found)))
    return found

"""The change log: the only truth, append-only; every other table is made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import apsw

from hiveminddb.model import Action, Change, NodeId
from hiveminddb.store.commits import SEQ_OF_C, known_upto, ordered_vector, run_at, seq_of

_COLUMNS = 'origin, counter, document, kind, action, actor, reason, hlc, "update"'
_STATE = (
    "SELECT coalesce((SELECT state FROM documents WHERE id = ?1),"
    ' (SELECT "update" FROM changes WHERE document = ?1 ORDER BY n LIMIT 1))'
)
_LINE = (
    f"SELECT c.n, {SEQ_OF_C}, c.document, c.kind, c.action, c.actor, c.reason, c.hlc, m.topic"
    " FROM changes c LEFT JOIN memories m ON m.id = c.document"
)
# A loose walk over the index: two look-ups an origin, however many changes there are.
_LAST_OF_EACH = (
    "WITH RECURSIVE o(origin) AS (SELECT min(origin) FROM changes UNION ALL"
    " SELECT (SELECT min(origin) FROM changes WHERE origin > o.origin) FROM o WHERE o.origin IS NOT NULL)"
    " SELECT origin, (SELECT max(counter) FROM changes c WHERE c.origin = o.origin) FROM o WHERE origin IS NOT NULL"
)
# What a change takes beside its update, about: names, numbers, and the reason.
_CHANGE_BYTES = 256


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A line of the change feed; `n` is its place in this node's log, `topic` the one its memory has now.

    Which it had then depends on what else was known here at that time, and the feed is the same on every node.
    """

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


def origins(connection: apsw.Connection, places: Sequence[int]) -> dict[int, NodeId]:
    """Who made the changes at these places in the log."""
    rows = connection.execute(
        f"SELECT n, origin FROM changes WHERE n IN ({', '.join('?' * len(places))})", tuple(places)
    )
    return {n: NodeId(origin) for n, origin in rows}


def places_of(connection: apsw.Connection, document: str) -> list[int]:
    """Where in the log the changes of a document are."""
    return [n for (n,) in connection.execute("SELECT n FROM changes WHERE document = ? ORDER BY n", (document,))]


def in_order(connection: apsw.Connection, after: int, limit: int) -> Iterator[tuple[int, Change]]:
    """The changes that follow a place in the log, with their places."""
    rows = connection.execute(f"SELECT n, {_COLUMNS} FROM changes WHERE n > ? ORDER BY n LIMIT ?", (after, limit))
    return ((row[0], Change(*row[1:])) for row in rows)


def feed(connection: apsw.Connection, after: int, limit: int) -> list[LoggedChange]:
    """What happened after a place in the log, oldest first."""
    rows = connection.execute(f"{_LINE} WHERE c.n > ? ORDER BY c.n LIMIT ?", (after, limit))
    return [LoggedChange(*row) for row in rows]


def committed_feed(connection: apsw.Connection, after: int, limit: int) -> list[LoggedChange]:
    """What happened after a position of the swarm's order, in that order, up to the first change not known here."""
    lines: list[LoggedChange] = []
    query = f"{_LINE} WHERE c.origin = ? AND c.counter >= ? ORDER BY c.counter LIMIT ?"
    while (wanted := limit - len(lines)) > 0 and (run := run_at(connection, after + 1)):
        count = min(wanted, run.last - after)
        rows = connection.execute(query, (run.origin, run.counter + after + 1 - run.seq, count))
        lines += (part := [LoggedChange(*row) for row in rows])
        after += len(part)
        if len(part) < count:
            break
    return lines


def readable_upto(connection: apsw.Connection) -> int:
    """The position up to which both the order and the changes it names are known here."""
    upto, known = known_upto(connection), version_vector(connection)
    lacking = (
        seq_of(connection, origin, known.get(origin, 0) + 1)
        for origin, counter in ordered_vector(connection).items()
        if known.get(origin, 0) < counter
    )
    return min([upto, *(seq - 1 for seq in lacking if seq is not None)])


def version_vector(connection: apsw.Connection) -> dict[NodeId, int]:
    """The highest counter of every origin: all its changes up to there are in the log."""
    return {NodeId(origin): counter for origin, counter in connection.execute(_LAST_OF_EACH)}


def changes_from(connection: apsw.Connection, origin: str, after: int, max_bytes: int) -> list[Change]:
    """The changes of an origin that follow a counter, as many as fit into so many bytes, but one at least."""
    return _fitting(_following(connection, origin, after), max_bytes)[0]


def changes_after(
    connection: apsw.Connection, vector: Mapping[NodeId, int], max_bytes: int
) -> tuple[list[Change], bool]:
    """What one who knows these counters lacks, each origin's in its order, cut likewise; and whether there is more."""
    lacking = (
        change
        for origin, last in version_vector(connection).items()
        if vector.get(origin, 0) < last
        for change in _following(connection, origin, vector.get(origin, 0))
    )
    return _fitting(lacking, max_bytes)


def _following(connection: apsw.Connection, origin: str, after: int) -> Iterator[Change]:
    query = f"SELECT {_COLUMNS} FROM changes WHERE origin = ? AND counter > ? ORDER BY counter"
    return (Change(*row) for row in connection.execute(query, (origin, after)))


def _fitting(candidates: Iterator[Change], max_bytes: int) -> tuple[list[Change], bool]:
    found: list[Change] = []
    for change in candidates:
        max_bytes -= size_of(change)
        if found and max_bytes < 0:
            return found, True
        found.append(change)
    return found, False


def size_of(change: Change) -> int:
    """About the bytes a change takes on its way."""
    return len(change.update) + len(change.reason) + _CHANGE_BYTES


def last_change(connection: apsw.Connection) -> int:
    """The place of the newest change, 0 when there is none."""
    return int(connection.execute("SELECT coalesce(max(n), 0) FROM changes").get)


def last_hlc_of(connection: apsw.Connection, origin: str) -> int:
    """The hybrid time of the newest change of an origin, 0 when it has none."""
    query = "SELECT hlc FROM changes WHERE origin = ? ORDER BY counter DESC LIMIT 1"
    return int(connection.execute(query, (origin,)).get or 0)


def last_hlc(connection: apsw.Connection) -> int:
    """The highest hybrid time any change carries, 0 when there is none; walks the whole log."""
    return int(connection.execute("SELECT coalesce(max(hlc), 0) FROM changes").get)


def document_state(connection: apsw.Connection, document: str) -> bytes | None:
    """What the changes of a document merge to, None for an unknown document."""
    state: bytes | None = connection.execute(_STATE, (document,)).get
    return state


def _last(upto: int | None) -> int:
    return (1 << 62) if upto is None else upto

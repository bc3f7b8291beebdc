"""The past: the versions of a memory, and the text a file had as of any change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apsw

from hiveminddb.model import Action
from hiveminddb.store.commits import SEQ_OF_C

_PAST_TEXT = (
    "coalesce(v.text,"
    " (SELECT w.text FROM past w WHERE w.document = v.document AND w.n > v.n AND w.text IS NOT NULL"
    " ORDER BY w.n LIMIT 1),"
    " (SELECT m.text FROM memories m WHERE m.id = v.document))"
)

_PER_QUERY = 500

# What stood in the file as of that change: what is still as it was then, and of all else the last version up to then.
_AS_OF = (
    "SELECT id AS document, n, position, text FROM memories"
    " WHERE topic = :topic AND n <= :n AND invalidated_at IS NULL UNION ALL"
    f" SELECT v.document, v.n, v.position, {_PAST_TEXT}"
    " FROM (SELECT DISTINCT document FROM past WHERE topic = :topic AND n <= :n) d"
    " JOIN memories m ON m.id = d.document AND m.n > :n"
    " JOIN past v ON v.document = d.document"
    " AND v.n = (SELECT max(n) FROM past WHERE document = d.document AND n <= :n)"
    " WHERE v.topic = :topic AND v.alive ORDER BY position, document"
)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One step in the life of a memory: what it was after the change `n`, and who made that change, when and why."""

    n: int
    version: int
    text: str
    body_start: int
    body_end: int
    topic: str
    position: str
    alive: int
    action: Action
    actor: str
    reason: str
    hlc: int
    seq: int | None

    @property
    def content(self) -> str:
        """The text without its heading and the blanks around it."""
        return self.text[self.body_start : self.body_end]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of a document: its place in the swarm's order, None while it is pending, and the CRDT update."""

    seq: int | None
    action: Action
    actor: str
    reason: str
    hlc: int
    update: bytes


@dataclass(frozen=True, slots=True)
class PastEntry:
    """A memory's span in a file as it once was."""

    document: str
    n: int
    position: str
    text: str


@dataclass(frozen=True, slots=True)
class Stay:
    """A text that stood in a file from one change to just before another, None for up to now."""

    text: str
    since: int
    until: int | None


def versions_of(connection: apsw.Connection, document: str) -> list[VersionRow]:
    """The versions of a memory, oldest first; none for an unknown one."""
    rows = connection.execute(
        f"SELECT v.*, c.action, c.actor, c.reason, c.hlc, {SEQ_OF_C} FROM ("
        f" SELECT n, version, {_PAST_TEXT}, body_start, body_end, topic, position, alive FROM past v"
        " WHERE document = ?1 UNION ALL"
        " SELECT n, version, text, body_start, body_end, topic, position, invalidated_at IS NULL FROM memories"
        " WHERE id = ?1) v JOIN changes c ON c.n = v.n ORDER BY v.n",
        (document,),
    )
    return [VersionRow(*row) for row in rows]


def times_of(connection: apsw.Connection, document: str, upto: int) -> tuple[int, int]:
    """The lowest and the highest hybrid time of a document's changes up to one of them."""
    low, high = connection.execute(
        "SELECT min(hlc), max(hlc) FROM changes WHERE document = ? AND n <= ?", (document, upto)
    ).get
    return low, high


def begins_with(connection: apsw.Connection, document: str, n: int) -> bool:
    """Whether a change is the first that this node knows of a document."""
    first = connection.execute("SELECT min(n) FROM changes WHERE document = ?", (document,)).get
    return bool(first == n)


def known_before(connection: apsw.Connection, documents: Sequence[str], n: int) -> set[str]:
    """Those of the documents that have a change before one in the log."""
    known: set[str] = set()
    for start in range(0, len(documents), _PER_QUERY):
        part = documents[start : start + _PER_QUERY]
        marks = ", ".join("?" * len(part))
        query = f"SELECT DISTINCT document FROM changes WHERE document IN ({marks}) AND n < ?"
        known.update(document for (document,) in connection.execute(query, (*part, n)))
    return known


def made_at(connection: apsw.Connection, document: str, origin: str) -> bool:
    """Whether a node made the document, it alone or it too."""
    query = "SELECT 1 FROM changes WHERE document = ? AND origin = ? AND action = 'add' LIMIT 1"
    return connection.execute(query, (document, origin)).fetchone() is not None


def steps_of(connection: apsw.Connection, document: str) -> list[Step]:
    """The changes of a document by hybrid time, what made it first: the same order on every node.

    The swarm's order keeps only each node's own: a change may get its place there before another node's that it edits.
    Hybrid time puts it after that one, unless its node's wall clock is minutes slow.
    """
    rows = connection.execute(
        f'SELECT {SEQ_OF_C} AS seq, c.action, c.actor, c.reason, c.hlc, c."update" FROM changes c'
        " WHERE c.document = ? ORDER BY c.action <> 'add', c.hlc, c.origin, c.counter",
        (document,),
    )
    return [Step(*row) for row in rows]


def entries_as_of(connection: apsw.Connection, topic: str, n: int) -> list[PastEntry]:
    """The living memories of a file as of a change, in the order they then had."""
    rows = connection.execute(_AS_OF, {"topic": topic, "n": n})
    return [PastEntry(*row) for row in rows]


def stays_in(connection: apsw.Connection, topic: str, upto: int) -> Iterator[Stay]:
    """Every time that a memory stood in a file with one text, of those first there up to a change."""
    rows = connection.execute(
        "WITH d(id) AS (SELECT document FROM past WHERE topic = :topic AND n <= :n"
        " UNION SELECT id FROM memories WHERE topic = :topic AND n <= :n)"
        f" SELECT {_PAST_TEXT}, v.n, v.until FROM ("
        " SELECT *, lead(n) OVER (PARTITION BY document ORDER BY n) AS until FROM ("
        "  SELECT document, n, text, topic, alive FROM past WHERE document IN d UNION ALL"
        "  SELECT id, n, text, topic, invalidated_at IS NULL FROM memories WHERE id IN d)) v"
        " WHERE v.topic = :topic AND v.alive",
        {"topic": topic, "n": upto},
    )
    return (Stay(*row) for row in rows)

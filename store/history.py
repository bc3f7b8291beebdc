"""The past: the versions of a memory, and the text a file had as of any change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from hiveminddb.model import Action

_PAST_TEXT = (
    "coalesce(v.text,"
    " (SELECT w.text FROM versions w WHERE w.document = v.document AND w.n > v.n AND w.text IS NOT NULL"
    " ORDER BY w.n LIMIT 1),"
    " (SELECT m.text FROM memories m WHERE m.id = v.document))"
)

# For every document that was ever in the file, the version it had as of that change.
_AS_OF = (
    "FROM (SELECT DISTINCT document FROM versions WHERE topic = :topic AND n <= :n) d"
    " JOIN versions v ON v.document = d.document"
    " AND v.n = (SELECT max(n) FROM versions WHERE document = d.document AND n <= :n)"
    " WHERE v.topic = :topic AND v.alive ORDER BY v.position, v.document"
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
        f"SELECT v.n, v.version, {_PAST_TEXT}, v.body_start, v.body_end, v.topic, v.position, v.alive,"
        " c.action, c.actor, c.reason, c.hlc, c.seq"
        " FROM versions v JOIN changes c ON c.n = v.n WHERE v.document = ? ORDER BY v.n",
        (document,),
    )
    return [VersionRow(*row) for row in rows]


def entries_as_of(connection: apsw.Connection, topic: str, n: int) -> list[PastEntry]:
    """The living memories of a file as of a change, in the order they then had."""
    rows = connection.execute(f"SELECT v.document, v.n, v.position, {_PAST_TEXT} {_AS_OF}", {"topic": topic, "n": n})
    return [PastEntry(*row) for row in rows]


def stays_in(connection: apsw.Connection, topic: str, upto: int) -> Iterator[Stay]:
    """Every time that a memory stood in a file with one text, of those first there up to a change."""
    rows = connection.execute(
        f"SELECT {_PAST_TEXT}, v.n, v.until FROM ("
        " SELECT *, lead(n) OVER (PARTITION BY document ORDER BY n) AS until FROM versions"
        "  WHERE document IN (SELECT document FROM versions WHERE topic = :topic AND n <= :n)) v"
        " WHERE v.topic = :topic AND v.alive",
        {"topic": topic, "n": upto},
    )
    return (Stay(*row) for row in rows)


def file_text(connection: apsw.Connection, topic: str, n: int) -> str:
    """The text of a file as of a change, empty where it had none."""
    rows = connection.execute(f"SELECT {_PAST_TEXT} {_AS_OF}", {"topic": topic, "n": n})
    return "".join(text for (text,) in rows)


def last_change_of(connection: apsw.Connection, topic: str) -> int:
    """The newest change that touched a file: of a memory in it, or one that left it; 0 when there was none."""
    n = connection.execute(
        "SELECT max(v.n) FROM versions v WHERE v.document IN (SELECT document FROM versions WHERE topic = ?)", (topic,)
    ).get
    return int(n or 0)

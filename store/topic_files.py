"""What the database knows of the files as files: which topics live, and the head of one."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from hiveminddb.store.rows import COLUMNS, MemoryRow, row_from

_HEADS = (
    f"SELECT {COLUMNS} FROM memories WHERE topic = ? AND invalidated_at IS NULL AND role = 'head' ORDER BY position, id"
)
_SHARED = (
    "SELECT m.topic FROM memories m JOIN memories o ON o.topic = m.topic AND o.position = m.position AND o.id <> m.id"
    " WHERE m.id = ? AND m.role = 'head' AND m.invalidated_at IS NULL AND o.role = 'head' AND o.invalidated_at IS NULL"
    " LIMIT 1"
)


def living_topics(connection: apsw.Connection) -> list[str]:
    """The topics with at least one living memory."""
    rows = connection.execute("SELECT DISTINCT topic FROM memories WHERE invalidated_at IS NULL ORDER BY topic")
    return [topic for (topic,) in rows]


def is_empty(connection: apsw.Connection, topic: str) -> bool:
    """Whether no memory of the topic lives."""
    found = connection.execute(
        "SELECT 1 FROM memories WHERE topic = ? AND invalidated_at IS NULL LIMIT 1", (topic,)
    ).fetchone()
    return found is None


def is_unknown(connection: apsw.Connection, topic: str) -> bool:
    """Whether no memory has ever been in the topic, and no file of it been seen."""
    query = (
        "SELECT 1 FROM memories WHERE topic = ?1 UNION ALL SELECT 1 FROM past WHERE topic = ?1"
        " UNION ALL SELECT 1 FROM vault_files WHERE topic = ?1"
        " UNION ALL SELECT 1 FROM vault_bases WHERE topic = ?1 LIMIT 1"
    )
    return connection.execute(query, (topic,)).fetchone() is None


def head_of(connection: apsw.Connection, topic: str) -> MemoryRow | None:
    """The living head of a topic's file, the first where a merge left several."""
    values = connection.execute(f"{_HEADS} LIMIT 1", (topic,)).fetchone()
    return row_from(values) if values else None


def heads_of(connection: apsw.Connection, topic: str) -> list[MemoryRow]:
    """The living heads of a topic's file: several where a merge left them."""
    return [row_from(values) for values in connection.execute(_HEADS, (topic,))]


def shared_heads(connection: apsw.Connection, documents: Iterable[str]) -> list[str]:
    """The topics where one of these documents is a head, and another living head stands too."""
    found: set[str] = set()
    for document in documents:
        found.update(topic for (topic,) in connection.execute(_SHARED, (document,)))
    return sorted(found)


def invalidated_with(connection: apsw.Connection, text_hash: bytes, since: int) -> list[MemoryRow]:
    """Memories with a text of that hash that were invalidated since then (microseconds), newest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM memories WHERE text_hash = ? AND invalidated_at >= ? ORDER BY invalidated_at DESC, id",
        (text_hash, since),
    )
    return [row_from(values) for values in rows]


def living_of(connection: apsw.Connection, topic: str, since: int, until: int) -> list[MemoryRow]:
    """The living entries of a topic that were made between two times (microseconds), in the file's order."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM memories INDEXED BY memories_created"
        " WHERE listed = 1 AND invalidated_at IS NULL AND created_at >= ? AND created_at < ? AND topic = ?",
        (since, until, topic),
    )
    # To set up SQLite's own sorting takes ten times as long as to find that there is nothing, as nearly always.
    return sorted(map(row_from, rows), key=lambda row: (row.position, row.id))


def living_with(connection: apsw.Connection, keyword: str) -> list[str]:
    """Topics that may hold the keyword in a living memory: exact for ASCII, all topics for other scripts."""
    if not keyword.isascii():
        return living_topics(connection)
    escaped = keyword.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = connection.execute(
        "SELECT DISTINCT topic FROM memories WHERE invalidated_at IS NULL AND text LIKE ? ESCAPE '\\' ORDER BY topic",
        (f"%{escaped}%",),
    )
    return [topic for (topic,) in rows]


def counts(connection: apsw.Connection) -> tuple[int, int, int]:
    """How many memories are listed, how many invalidated, and how many topics live."""
    listed, gone, topics = connection.execute(
        "SELECT count(*) FILTER (WHERE listed AND invalidated_at IS NULL),"
        " count(*) FILTER (WHERE listed AND invalidated_at IS NOT NULL),"
        " count(DISTINCT topic) FILTER (WHERE invalidated_at IS NULL) FROM memories"
    ).get
    return listed, gone, topics

"""Lists of memories and topics: filtered, newest first, page by page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from hiveminddb.errors import InvalidInput
from hiveminddb.store.filters import Binding, Filters, filter_clause
from hiveminddb.store.rows import MemoryRow, columns_of, row_from

_INTEGERS = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; `cursor` asks for the next one, None on the last."""

    rows: tuple[MemoryRow, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A file and what it holds: `memories` counts the listed ones, `size_bytes` is that of its text in UTF-8."""

    topic: str
    memories: int
    size_bytes: int
    updated_at: int


def list_memories(connection: apsw.Connection, filters: Filters, limit: int, cursor: str | None = None) -> Page:
    """Memories newest first (`created_at`, then id, both falling); a cursor goes on where its page ended."""
    condition, bindings = filter_clause(filters)
    if cursor is not None:
        condition += " AND (m.created_at, m.id) < (?, ?)"
        bindings += _decode(cursor)
    found = connection.execute(
        f"SELECT {columns_of('m')} FROM memories m WHERE {condition} ORDER BY m.created_at DESC, m.id DESC LIMIT ?",
        (*bindings, limit + 1),
    )
    rows = tuple(row_from(values) for values in found)
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], _encode(rows[limit - 1]))


def count_memories(connection: apsw.Connection, filters: Filters) -> int:
    """How many memories meet the filters."""
    condition, bindings = filter_clause(filters)
    return int(connection.execute(f"SELECT count(*) FROM memories m WHERE {condition}", bindings).get)


def topics(connection: apsw.Connection) -> list[TopicRow]:
    """Every file with something living in it, by name."""
    rows = connection.execute(
        "SELECT topic, sum(listed), sum(octet_length(text)), max(updated_at) FROM memories"
        " WHERE invalidated_at IS NULL GROUP BY topic ORDER BY topic"
    )
    return [TopicRow(*row) for row in rows]


def topic_exists(connection: apsw.Connection, topic: str) -> bool:
    """Whether anything living is in that file."""
    query = "SELECT 1 FROM memories WHERE topic = ? AND invalidated_at IS NULL"
    return connection.execute(query, (topic,)).fetchone() is not None


def file_texts(connection: apsw.Connection) -> Iterator[tuple[str, str]]:
    """The present text of every file, by topic, one in memory at a time."""
    present: str | None = None
    spans: list[str] = []
    for topic, text in connection.execute(
        "SELECT topic, text FROM memories WHERE invalidated_at IS NULL ORDER BY topic, position, id"
    ):
        if topic != present and present is not None:
            yield present, "".join(spans)
            spans = []
        present = topic
        spans.append(text)
    if present is not None:
        yield present, "".join(spans)


def _encode(row: MemoryRow) -> str:
    return base64.urlsafe_b64encode(f"{row.created_at}:{row.id}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> list[Binding]:
    try:
        created_at, colon, id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if colon and (instant := int(created_at)) in _INTEGERS:
            return [instant, id]
    except (ValueError, binascii.Error):
        pass
    raise InvalidInput(
        f"not a cursor: {cursor[:80]!r}", "pass the cursor of the page before, or none for the first page"
    )

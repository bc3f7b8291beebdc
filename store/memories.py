"""Reading memories: one, a file's, an id by its prefix."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from hiveminddb.errors import Ambiguous, InvalidInput, NotFound
from hiveminddb.store.rows import COLUMNS, MemoryRow, row_from

PREFIX_LENGTH = 4
_CANDIDATES = 5
# Sorts after every character an id may have.
_AFTER_ANY = "\x7f"
_PER_QUERY = 500


def memory(connection: apsw.Connection, id: str) -> MemoryRow | None:
    """The memory with exactly that id, invalidated ones too."""
    values = connection.execute(f"SELECT {COLUMNS} FROM memories WHERE id = ?", (id,)).fetchone()
    return row_from(values) if values else None


def memories(connection: apsw.Connection, ids: Sequence[str]) -> dict[str, MemoryRow]:
    """The memories with those ids, by id; unknown ids are left out."""
    found: dict[str, MemoryRow] = {}
    for start in range(0, len(ids), _PER_QUERY):
        part = ids[start : start + _PER_QUERY]
        marks = ", ".join("?" * len(part))
        for values in connection.execute(f"SELECT {COLUMNS} FROM memories WHERE id IN ({marks})", part):
            row = row_from(values)
            found[row.id] = row
    return found


def entries_of(connection: apsw.Connection, topic: str) -> list[MemoryRow]:
    """The living memories of a file in its order; their texts one after the other are the file."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM memories WHERE topic = ? AND invalidated_at IS NULL ORDER BY position, id", (topic,)
    )
    return [row_from(values) for values in rows]


def invalidated_of(connection: apsw.Connection, topic: str) -> list[MemoryRow]:
    """The memories that have left a file, in the order they had there."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM memories WHERE topic = ? AND invalidated_at IS NOT NULL ORDER BY position, id", (topic,)
    )
    return [row_from(values) for values in rows]


def last_position(connection: apsw.Connection, topic: str) -> str | None:
    """The greatest position ever used in a file and not moved away, None for a file without memories."""
    position: str | None = connection.execute("SELECT max(position) FROM memories WHERE topic = ?", (topic,)).get
    return position


def last_of(connection: apsw.Connection, topic: str) -> tuple[str, bool] | None:
    """The greatest position ever used in a file and not moved away, and whether what has it lives."""
    row = connection.execute(
        "SELECT position, invalidated_at IS NULL FROM memories WHERE topic = ? ORDER BY position DESC, id DESC LIMIT 1",
        (topic,),
    ).fetchone()
    return (row[0], bool(row[1])) if row else None


def resolve_id(connection: apsw.Connection, prefix: str) -> str:
    """The id a prefix stands for; NotFound, or Ambiguous naming some candidates."""
    if connection.execute("SELECT 1 FROM memories WHERE id = ?", (prefix,)).fetchone():
        return prefix
    if len(prefix) < PREFIX_LENGTH:
        raise InvalidInput(f"id too short: {prefix!r}", f"give at least {PREFIX_LENGTH} characters of it")
    candidates = connection.execute(
        "SELECT id FROM memories WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
        (prefix, prefix + _AFTER_ANY, _CANDIDATES + 1),
    ).fetchall()
    ids = [str(id) for (id,) in candidates]
    if not ids:
        raise NotFound(f"memory not found: {prefix}", "list the memories there are with `hmd search` or GET /memories")
    if len(ids) > 1:
        named = ", ".join(ids[:_CANDIDATES]) + (", …" if len(ids) > _CANDIDATES else "")
        raise Ambiguous(f"id prefix fits several memories: {prefix}: {named}", "give more characters of the id")
    return ids[0]

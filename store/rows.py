"""The row of a memory as the database keeps it, and the memory people see made from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal

from hiveminddb.model import Memory, MemoryId
from hiveminddb.store.filters import Binding

Role = Literal["head", "entry"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH_BYTES = 16


# Not frozen: every write makes one, and freezing so many fields takes four times as long.
@dataclass(slots=True)
class MemoryRow:
    """One row of `memories`, columns in order; `slot` and `version` are given by the store when it is put."""

    id: str
    topic: str
    position: str
    role: Role
    text: str
    body_start: int
    body_end: int
    created_at: int
    updated_at: int
    text_hash: bytes
    memory_type: str = "fact"
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    metadata: str = "{}"
    confidence: float = 1.0
    source: str | None = None
    valid_from: int | None = None
    valid_until: int | None = None
    invalidated_at: int | None = None
    invalidated_reason: str | None = None
    invalidated_by: str | None = None
    slot: int = 0
    version: int = 0
    listed: bool = True
    tags: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The text without its heading and the blanks around it."""
        return self.text[self.body_start : self.body_end]

    @property
    def alive(self) -> bool:
        """Whether it stands in its file."""
        return self.invalidated_at is None

    @property
    def indexed(self) -> bool:
        """Whether the full-text index holds it."""
        return self.listed and self.invalidated_at is None


_NAMES = tuple(field.name for field in fields(MemoryRow))
COLUMNS = ", ".join(_NAMES)
PLACEHOLDERS = ", ".join("?" * len(_NAMES))


def columns_of(alias: str) -> str:
    """The columns of a row, in its order, of a table under that alias."""
    return ", ".join(f"{alias}.{name}" for name in _NAMES)


def row_from(values: tuple[Any, ...]) -> MemoryRow:
    """The row from the values of COLUMNS."""
    *same, listed, tags = values
    row = [*same, listed == 1, () if tags == "[]" else tuple(json.loads(tags))]
    return MemoryRow(*row)


def bindings_of(row: MemoryRow, slot: int, version: int) -> tuple[Binding, ...]:
    """The values of COLUMNS for a row put at a slot as that version."""
    tags = json.dumps(sorted(set(row.tags)), ensure_ascii=False) if row.tags else "[]"
    return (
        row.id, row.topic, row.position, row.role, row.text, row.body_start, row.body_end, row.created_at,
        row.updated_at, row.text_hash, row.memory_type, row.user_id, row.agent_id, row.session_id, row.speaker,
        row.metadata, row.confidence, row.source, row.valid_from, row.valid_until, row.invalidated_at,
        row.invalidated_reason, row.invalidated_by, slot, version, row.listed, tags,
    )  # fmt: skip


def text_hash(content: str) -> bytes:
    """The key of a text's vectors, the same on every node."""
    return blake2b(content.encode(), digest_size=_HASH_BYTES).digest()


def to_datetime(microseconds: int) -> datetime:
    """The instant, UTC, exact to the microsecond."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(instant: datetime) -> int:
    """Microseconds since the epoch; exact, where a float would round."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def _optional(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else to_datetime(microseconds)


def to_memory(row: MemoryRow) -> Memory:
    """The memory as agents and people see it."""
    return Memory(
        id=MemoryId(row.id),
        content=row.content,
        topic=row.topic,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        memory_type=row.memory_type,
        user_id=row.user_id,
        agent_id=row.agent_id,
        session_id=row.session_id,
        speaker=row.speaker,
        tags=row.tags,
        metadata={} if row.metadata == "{}" else json.loads(row.metadata),
        confidence=row.confidence,
        source=row.source,
        valid_from=_optional(row.valid_from),
        valid_until=_optional(row.valid_until),
        invalidated_at=_optional(row.invalidated_at),
        invalidated_reason=row.invalidated_reason,
        invalidated_by=row.invalidated_by,
        version=row.version,
    )

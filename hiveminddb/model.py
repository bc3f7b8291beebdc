"""The words every room shares: ids, memories, hits and changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NewType

DocumentId = NewType("DocumentId", str)
NodeId = NewType("NodeId", str)

# A memory is a document; its id is the document's.
MemoryId = DocumentId

MEMORY_TYPES = ("fact", "episodic", "procedural", "semantic")

Action = Literal["add", "update", "invalidate", "restore", "move"]


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory as agents and people see it; `content` is its span in the file without the date."""

    id: MemoryId
    content: str
    topic: str
    created_at: datetime
    updated_at: datetime
    memory_type: str = "fact"
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 1.0
    source: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    invalidated_at: datetime | None = None
    invalidated_reason: str | None = None
    invalidated_by: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Arm:
    """What one search arm thought of a hit: its rank (1 is best) and its raw score."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory found by a search; a higher score is better, `why` only where it was asked for."""

    memory: Memory
    score: float
    why: Mapping[str, Arm] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One step in the life of a memory, oldest first in a history."""

    version: int
    operation: Action
    old_content: str | None
    new_content: str
    reason: str
    changed_by: str
    timestamp: datetime
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """One file of the vault and what it holds; `size_bytes` of the file as the daemon last saw it."""

    topic: str
    file: str
    memories: int
    size_bytes: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """The immutable record that is replicated: who changed which document, when, and the CRDT update itself."""

    origin: NodeId
    counter: int
    document: DocumentId
    kind: str
    action: Action
    actor: str
    reason: str
    hlc: int
    update: bytes

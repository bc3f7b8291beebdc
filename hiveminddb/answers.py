"""What the daemon answers besides memories: pages, hits, topics, lines, changes, imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hiveminddb.model import Action, DocumentId, Hit, Memory, MemoryId


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory to be added; what is left out is the daemon's to choose."""

    content: str
    topic: str | None = None
    memory_type: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    confidence: float | None = None
    source: str | None = None
    created_at: datetime | str | None = None
    valid_from: datetime | str | None = None
    valid_until: datetime | str | None = None


@dataclass(frozen=True, slots=True)
class Written(Memory):
    """A memory as a write left it; `seq` is its place in the swarm's order, None while the status is "pending"."""

    status: str = "committed"
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What a bulk add made, in the order given."""

    added: int
    ids: tuple[MemoryId, ...]
    memories: tuple[Memory, ...] = ()
    status: str = "committed"
    seq: int | None = None


class Hits(list[Hit]):
    """Hits, best first; `mode` says how they were found and `note` why not better ("" when there is nothing to say)."""

    def __init__(self, hits: Iterable[Hit] = (), mode: str = "", note: str = "") -> None:
        super().__init__(hits)
        self.mode = mode
        self.note = note


class Page(list[Memory]):
    """Some memories of a list; `cursor` leads to the next page and is None on the last."""

    def __init__(self, memories: Iterable[Memory] = (), cursor: str | None = None, total: int | None = None) -> None:
        super().__init__(memories)
        self.cursor = cursor
        self.total = total


@dataclass(frozen=True, slots=True)
class TopicText:
    """One topic with its file's text and the memories in it, in file order."""

    topic: str
    file: str
    text: str
    memories: tuple[Memory, ...]


@dataclass(frozen=True, slots=True)
class TopicCount:
    """How many memories of a topic a forget or restore touched, and its place in the order as with `Written`."""

    topic: str
    count: int
    status: str = "committed"
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a vault file; lines count from 1."""

    topic: str
    file: str
    line: int
    content: str


@dataclass(frozen=True, slots=True)
class FeedChange:
    """One entry of the change feed; `n` is the cursor to ask for what follows, `topic` the memory's present one."""

    n: int
    seq: int | None
    document: DocumentId
    action: Action
    actor: str
    reason: str
    at: datetime
    topic: str | None


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A markdown file to import: its path inside the vault, with '/' between folders, and its exact text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not imported, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the files of an import."""

    added: int
    unchanged: int
    merged: int
    refused: tuple[Refused, ...] = ()
    status: str = "committed"
    seq: int | None = None

"""What the daemon answers besides memories: pages, hits, topics, lines, changes and its own health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hiveminddb.model import Action, DocumentId, Hit, Memory, MemoryId
from hiveminddb.swarm import SwarmStatus


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


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a doctor looked at."""

    check: str
    ok: bool
    message: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the daemon and where its value came from; secrets are hidden."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Health:
    """Who answers at an address."""

    status: str
    version: str
    node_id: str


@dataclass(frozen=True, slots=True)
class VaultStatus:
    path: str
    state: str
    files: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddingStatus:
    model: str
    state: str
    reason: str = ""
    vectors: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """Work the daemon still has to do: files to write, texts to embed."""

    mirror: int = 0
    embed: int = 0


@dataclass(frozen=True, slots=True)
class SearchStatus:
    mode: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon's health at one moment."""

    node_id: str
    version: str
    vault: VaultStatus
    memories: int
    invalidated: int
    topics: int
    changes: int
    pending: Pending
    embedding: EmbeddingStatus
    search: SearchStatus
    uptime_s: float
    data_dir: str
    database_bytes: int
    swarm: SwarmStatus

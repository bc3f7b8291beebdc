"""What the API needs from the daemon: the use cases as a Protocol, and the answers they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from hiveminddb.daemon.intents import Blame, Draft, Filters, ImportFile, Patch, Search, VaultChoice
from hiveminddb.model import Action, Hit, Memory, Topic, Version

WriteStatus = Literal["committed", "pending"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a write has: its place in the swarm's order, or none yet."""

    status: WriteStatus
    seq: int | None


@dataclass(frozen=True, slots=True)
class Added:
    """Memories just added, in the order of their drafts."""

    memories: tuple[Memory, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Written:
    """One memory as a write left it."""

    memory: Memory
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, newest first; `cursor` asks for the next part, None on the last."""

    memories: tuple[Memory, ...]
    cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, how it searched, and why not better (`note`, empty when all is well)."""

    hits: tuple[Hit, ...]
    mode: Literal["hybrid", "lexical", "vector"]
    note: str = ""


@dataclass(frozen=True, slots=True)
class TopicText:
    """One file of the vault: its text, and the memories in it in file order."""

    topic: str
    file: str
    text: str
    memories: tuple[Memory, ...]


@dataclass(frozen=True, slots=True)
class TopicChanged:
    """How many memories of a topic were invalidated or restored."""

    topic: str
    count: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a vault file that holds the keyword; `line` counts from 1."""

    topic: str
    file: str
    line: int
    content: str


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One entry of the change feed; `n` is its place in this node's log."""

    n: int
    seq: int | None
    document: str
    action: Action
    actor: str
    reason: str
    at: datetime
    topic: str | None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that was not imported, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: memories added, files that held nothing new, files merged into existing topics."""

    added: int
    unchanged: int
    merged: int
    refused: tuple[RefusedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor."""

    check: str
    ok: bool
    message: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """Whether the vault is mirrored; `reason` says why not."""

    path: str
    state: str
    files: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """Work the outbox still holds."""

    mirror: int
    embed: int


@dataclass(frozen=True, slots=True)
class EmbeddingStatus:
    """The embedder: `state` in a word, `reason` where it is away."""

    model: str
    state: str
    reason: str
    vectors: int
    missing: int


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """How a search asked for now would be made."""

    mode: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class SwarmStatus:
    """This node's place among its peers; `seq` is the last committed position."""

    state: str
    seq: int


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon in one screen."""

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


class UseCases(Protocol):
    """Everything a caller can ask; an id may be any unique prefix; HiveMindErrors pass through to the caller."""

    async def add(self, drafts: Sequence[Draft], wait_vectors: bool = False) -> Added: ...

    async def get(self, id: str) -> Memory: ...

    async def page(self, filters: Filters, limit: int, cursor: str | None) -> Page: ...

    async def update(self, id: str, patch: Patch, blame: Blame) -> Written: ...

    async def forget(self, id: str, blame: Blame) -> Written: ...

    async def restore(self, id: str, blame: Blame) -> Written: ...

    async def history(self, id: str) -> Sequence[Version]: ...

    async def search(self, search: Search) -> Found: ...

    async def topics(self) -> Sequence[Topic]: ...

    async def topic(self, name: str) -> TopicText: ...

    async def forget_topic(self, name: str, blame: Blame) -> TopicChanged: ...

    async def restore_topic(self, name: str, blame: Blame) -> TopicChanged: ...

    async def lines(self, keyword: str) -> Sequence[Line]: ...

    async def changes(self, after: int, limit: int) -> Sequence[LoggedChange]: ...

    async def import_files(self, files: Sequence[ImportFile]) -> Imported: ...

    async def resolve_vault(self, choice: VaultChoice) -> VaultStatus: ...

    async def doctor(self, rebuild: bool, check: bool) -> Sequence[Check]: ...

    async def status(self) -> Status: ...

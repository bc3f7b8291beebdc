"""What the API needs from the daemon: the use cases as a Protocol, and the answers they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hiveminddb.answers import FeedChange, Imported, Line, TopicText
from hiveminddb.daemon.intents import Blame, Draft, Filters, ImportFile, Patch, Search, VaultChoice
from hiveminddb.daemon.swarm_cases import Ack, ClaimCases, SwarmCases
from hiveminddb.model import Hit, Memory, Topic, Version
from hiveminddb.upkeep import Check, Status, VaultStatus

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
class TopicWritten:
    """How many memories of a topic a write touched."""

    topic: str
    count: int
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


class UseCases(Protocol):
    """Everything a caller can ask; an id may be any unique prefix; HiveMindErrors pass through to the caller."""

    @property
    def swarm(self) -> SwarmCases: ...

    @property
    def claims(self) -> ClaimCases: ...

    async def add(self, drafts: Sequence[Draft], wait_vectors: bool = False, ack: Ack = "auto") -> Added: ...

    async def get(self, id: str) -> Memory: ...

    async def page(self, filters: Filters, limit: int, cursor: str | None) -> Page: ...

    async def update(self, id: str, patch: Patch, blame: Blame, ack: Ack = "auto") -> Written: ...

    async def forget(self, id: str, blame: Blame, ack: Ack = "auto") -> Written: ...

    async def restore(self, id: str, blame: Blame, ack: Ack = "auto") -> Written: ...

    async def history(self, id: str) -> Sequence[Version]: ...

    async def search(self, search: Search) -> Found: ...

    async def topics(self) -> Sequence[Topic]: ...

    async def topic(self, name: str) -> TopicText: ...

    async def forget_topic(self, name: str, blame: Blame, ack: Ack = "auto") -> TopicWritten: ...

    async def restore_topic(self, name: str, blame: Blame, ack: Ack = "auto") -> TopicWritten: ...

    async def lines(self, keyword: str) -> Sequence[Line]: ...

    async def changes(self, after: int, limit: int) -> Sequence[FeedChange]: ...

    async def import_files(self, files: Sequence[ImportFile], ack: Ack = "auto") -> Imported: ...

    async def resolve_vault(self, choice: VaultChoice) -> VaultStatus: ...

    async def doctor(self, rebuild: bool, check: bool) -> Sequence[Check]: ...

    async def status(self) -> Status: ...

"""The use cases in a dictionary: what the API's own tests run against."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hiveminddb.answers import FeedChange, Imported, Line, TopicText
from hiveminddb.daemon.intents import (
    Append,
    Blame,
    Draft,
    Filters,
    ImportFile,
    Patch,
    Replace,
    ReplaceSection,
    Search,
    SetContent,
    VaultChoice,
)
from hiveminddb.daemon.swarm_cases import Ack
from hiveminddb.daemon.usecases import Added, Found, Page, Receipt, TopicWritten, Written
from hiveminddb.errors import Conflict, NotFound
from hiveminddb.model import Arm, DocumentId, Hit, Memory, MemoryId, Topic, Version
from hiveminddb.swarm import SwarmStatus
from hiveminddb.upkeep import Check, EmbeddingStatus, Pending, SearchStatus, Status, VaultStatus
from tests.daemon.fake_swarm import FakeClaims, FakeSwarm

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeCases:
    """Keeps what it is given and answers plausibly."""

    def __init__(self) -> None:
        self.memories: dict[str, Memory] = {}
        self.drafts: list[Draft] = []
        self.patches: list[Patch] = []
        self.blames: list[Blame] = []
        self.filters: list[Filters] = []
        self.searches: list[Search] = []
        self.choices: list[VaultChoice] = []
        self.files: list[ImportFile] = []
        self.note = ""
        self.failure: Exception | None = None
        self.acks: list[Ack] = []
        self.swarm = FakeSwarm()
        self.claims = FakeClaims()
        self._ids = itertools.count(1)

    async def add(self, drafts: Sequence[Draft], wait_vectors: bool = False, ack: Ack = "auto") -> Added:
        self._fail()
        self.acks.append(ack)
        added = tuple(self._added(draft) for draft in drafts)
        self.drafts = list(drafts)
        self.memories.update((memory.id, memory) for memory in added)
        return Added(added, self._receipt())

    def _added(self, draft: Draft) -> Memory:
        return Memory(
            id=MemoryId(f"m{next(self._ids):04}"),
            content=draft.content,
            topic=draft.topic or "journal-2026-03-01",
            created_at=draft.created_at or NOW,
            updated_at=NOW,
            memory_type=draft.memory_type,
            user_id=draft.user_id,
            agent_id=draft.agent_id,
            session_id=draft.session_id,
            speaker=draft.speaker,
            tags=draft.tags,
            metadata=draft.metadata,
            confidence=draft.confidence,
            source=draft.source,
            valid_from=draft.valid_from,
            valid_until=draft.valid_until,
        )

    def _receipt(self) -> Receipt:
        return Receipt("committed", len(self.memories))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def get(self, id: str) -> Memory:
        self._fail()
        if id not in self.memories:
            raise NotFound(f"memory not found: {id}", "hmd search finds memories")
        return self.memories[id]

    async def page(self, filters: Filters, limit: int, cursor: str | None) -> Page:
        self.filters.append(filters)
        start = int(cursor or 0)
        found = list(reversed(self.memories.values()))
        end = start + limit
        return Page(tuple(found[start:end]), str(end) if end < len(found) else None, len(found))

    async def update(self, id: str, patch: Patch, blame: Blame, ack: Ack = "auto") -> Written:
        self.acks.append(ack)
        memory = await self.get(id)
        if patch.version not in (None, memory.version):
            raise Conflict(f"memory {id} is at version {memory.version}, not {patch.version}", "read it again")
        self.patches.append(patch)
        self.blames.append(blame)
        content = memory.content
        match patch.edit:
            case SetContent(content=new):
                content = new
            case Append(text=more):
                content += more
            case Replace(old=old, new=new):
                content = content.replace(old, new)
            case ReplaceSection(content=new):
                content = new
        self.memories[id] = replace(memory, content=content, version=memory.version + 1)
        return Written(self.memories[id], self._receipt())

    async def forget(self, id: str, blame: Blame, ack: Ack = "auto") -> Written:
        self.acks.append(ack)
        memory = await self.get(id)
        self.blames.append(blame)
        self.memories[id] = replace(memory, invalidated_at=NOW, invalidated_reason=blame.reason)
        return Written(self.memories[id], self._receipt())

    async def restore(self, id: str, blame: Blame, ack: Ack = "auto") -> Written:
        self.acks.append(ack)
        memory = await self.get(id)
        self.blames.append(blame)
        self.memories[id] = replace(memory, invalidated_at=None, invalidated_reason=None)
        return Written(self.memories[id], self._receipt())

    async def history(self, id: str) -> Sequence[Version]:
        memory = await self.get(id)
        return [Version(1, "add", None, memory.content, "", "api", NOW, 1)]

    async def search(self, search: Search) -> Found:
        self._fail()
        self.searches.append(search)
        why = {"bm25": Arm(1, 7.5)} if search.explain else None
        hits = tuple(Hit(memory, 0.5, why) for memory in itertools.islice(self.memories.values(), search.limit))
        return Found(hits, "lexical" if self.note else search.mode, self.note)

    async def topics(self) -> Sequence[Topic]:
        return [Topic("café/x", "café/x.md", 1, 10, NOW)]

    async def topic(self, name: str) -> TopicText:
        return TopicText(name, f"{name}.md", f"# {name}\n\n", tuple(self.memories.values()))

    async def forget_topic(self, name: str, blame: Blame, ack: Ack = "auto") -> TopicWritten:
        self.acks.append(ack)
        self.blames.append(blame)
        return TopicWritten(name, len(self.memories), self._receipt())

    async def restore_topic(self, name: str, blame: Blame, ack: Ack = "auto") -> TopicWritten:
        self.acks.append(ack)
        self.blames.append(blame)
        return TopicWritten(name, len(self.memories), self._receipt())

    async def lines(self, keyword: str) -> Sequence[Line]:
        return [Line("x", "x.md", 3, f"a line with {keyword}")]

    async def changes(self, after: int, limit: int) -> Sequence[FeedChange]:
        return [FeedChange(after + 1, None, DocumentId("m0001"), "add", "api", "", NOW, "x")]

    async def import_files(self, files: Sequence[ImportFile], ack: Ack = "auto") -> Imported:
        self.acks.append(ack)
        self.files = list(files)
        return Imported(len(files), 0, 0)

    async def resolve_vault(self, choice: VaultChoice) -> VaultStatus:
        self.choices.append(choice)
        return VaultStatus("/vault", "mirroring", 1)

    async def doctor(self, rebuild: bool, check: bool) -> Sequence[Check]:
        return [Check("database", True, f"rebuild {rebuild} check {check}")]

    async def status(self) -> Status:
        self._fail()
        return Status(
            node_id="n0",
            version="0",
            vault=VaultStatus("/vault", "mirroring", 1),
            memories=len(self.memories),
            invalidated=0,
            topics=1,
            changes=1,
            pending=Pending(0, 0),
            embedding=EmbeddingStatus("none", "off", "", 0, 0),
            search=SearchStatus("lexical"),
            uptime_s=1.5,
            data_dir="/data",
            database_bytes=1,
            swarm=SwarmStatus("alone", 1),
        )

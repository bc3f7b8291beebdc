"""Request bodies and queries as callers send them, and how each becomes an intent."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from hiveminddb.daemon.api.fields import (
    BULK_LIMIT,
    BULK_QUERIES,
    LIST_LIMIT,
    SEARCH_LIMIT,
    Confidence,
    FilterName,
    MemoryType,
    Metadata,
    Name,
    Query,
    Reason,
    Tags,
    Time,
    check_length,
    check_span,
    checked_content,
    checked_metadata,
    checked_tags,
    cleared,
    optional_time,
    patch_time,
)
from hiveminddb.daemon.guarantees import Reading
from hiveminddb.daemon.intents import (
    Append,
    Blame,
    Draft,
    Edit,
    Filters,
    Patch,
    Replace,
    ReplaceSection,
    Search,
    SearchMode,
    SetContent,
)
from hiveminddb.daemon.swarm_cases import Ack, Consistency
from hiveminddb.errors import InvalidInput


class Nothing(Struct, forbid_unknown_fields=True):
    """A request that takes nothing here."""


class NewMemory(Struct, forbid_unknown_fields=True):
    """A memory to add; only `content` is needed."""

    content: str
    topic: Name | None = None
    memory_type: MemoryType | None = None
    agent_id: Name | None = None
    user_id: Name | None = None
    session_id: Name | None = None
    speaker: Name | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    confidence: Confidence | None = None
    source: Name | None = None
    created_at: Time | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None
    wait_vectors: bool = False

    def draft(self, where: str = "") -> Draft:
        """The intent; InvalidInput names the field, after `where`."""
        valid_from = optional_time(self.valid_from, where + "valid_from")
        valid_until = optional_time(self.valid_until, where + "valid_until")
        check_span(valid_from, valid_until, where)
        return Draft(
            content=checked_content(self.content, where + "content"),
            topic=self.topic or None,
            memory_type=self.memory_type or "fact",
            user_id=self.user_id or None,
            agent_id=self.agent_id or None,
            session_id=self.session_id or None,
            speaker=self.speaker or None,
            tags=checked_tags(self.tags, where + "tags"),
            metadata=checked_metadata(self.metadata, where + "metadata"),
            confidence=1.0 if self.confidence is None else self.confidence,
            source=self.source or None,
            created_at=optional_time(self.created_at, where + "created_at"),
            valid_from=valid_from,
            valid_until=valid_until,
        )


class NewMemories(Struct, forbid_unknown_fields=True):
    """Memories to add in one transaction; all are added or none."""

    memories: Annotated[list[NewMemory], Meta(max_length=BULK_LIMIT)]
    wait_vectors: bool = False

    @property
    def waits(self) -> bool:
        """Whether the answer is to wait for vectors, of one memory or of all."""
        return self.wait_vectors or any(memory.wait_vectors for memory in self.memories)

    def drafts(self) -> list[Draft]:
        return [memory.draft(f"memories[{place}].") for place, memory in enumerate(self.memories)]


class Replacement(Struct, forbid_unknown_fields=True):
    """A passage that occurs exactly once in the content, and what takes its place."""

    old: Annotated[str, Meta(min_length=1)]
    new: str


class Section(Struct, forbid_unknown_fields=True):
    """A heading inside the content, and what shall stand under it."""

    heading: Annotated[str, Meta(min_length=1, max_length=1000)]
    content: str


class MemoryPatch(Struct, forbid_unknown_fields=True):
    """Changes to a memory; what is left out stays, null clears an optional field."""

    content: str | None = None
    append: str | None = None
    replace: Replacement | None = None
    section: Section | None = None
    topic: FilterName | None = None
    memory_type: MemoryType | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    confidence: Confidence | None = None
    agent_id: Name | None | UnsetType = UNSET
    user_id: Name | None | UnsetType = UNSET
    session_id: Name | None | UnsetType = UNSET
    speaker: Name | None | UnsetType = UNSET
    source: Name | None | UnsetType = UNSET
    valid_from: Time | None | UnsetType = UNSET
    valid_until: Time | None | UnsetType = UNSET
    reason: Reason | None = None
    changed_by: Name | None = None
    version: int | None = None

    def patch(self) -> Patch:
        return Patch(
            edit=self._edit(),
            topic=self.topic,
            memory_type=self.memory_type,
            confidence=self.confidence,
            tags=None if self.tags is None else checked_tags(self.tags, "tags"),
            metadata=None if self.metadata is None else checked_metadata(self.metadata, "metadata"),
            user_id=cleared(self.user_id),
            agent_id=cleared(self.agent_id),
            session_id=cleared(self.session_id),
            speaker=cleared(self.speaker),
            source=cleared(self.source),
            valid_from=patch_time(self.valid_from, "valid_from"),
            valid_until=patch_time(self.valid_until, "valid_until"),
            version=self.version,
        )

    def blame(self) -> Blame:
        return Blame(self.reason or "", self.changed_by or "")

    def _edit(self) -> Edit | None:
        edits: dict[str, Edit] = {}
        if self.content is not None:
            edits["content"] = SetContent(checked_content(self.content, "content"))
        if self.append is not None:
            edits["append"] = Append(checked_content(self.append, "append"))
        if self.replace is not None:
            check_length(self.replace.new, "replace.new")
            edits["replace"] = Replace(self.replace.old, self.replace.new)
        if self.section is not None:
            check_length(self.section.content, "section.content")
            edits["section"] = ReplaceSection(self.section.heading, self.section.content)
        if len(edits) > 1:
            raise InvalidInput(f"{' and '.join(edits)} exclude each other", "send one of them")
        return next(iter(edits.values()), None)


class Because(Struct, forbid_unknown_fields=True):
    """Why, and who asks."""

    reason: Reason | None = None
    changed_by: Name | None = None


class BecauseWriting(Because, forbid_unknown_fields=True, kw_only=True):
    """Why, who asks, and when it is answered."""

    ack: Ack = "auto"


class Filtered(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which memories; every filter given must hold."""

    topic: FilterName | None = None
    user_id: FilterName | None = None
    agent_id: FilterName | None = None
    session_id: FilterName | None = None
    speaker: FilterName | None = None
    memory_type: MemoryType | None = None
    since: Time | None = None
    until: Time | None = None
    include_invalidated: bool = False

    def with_tags(self, tags: tuple[str, ...], where: str = "") -> Filters:
        """The intent; InvalidInput names the field, after `where`."""
        return Filters(
            topic=self.topic,
            tags=tags,
            user_id=self.user_id,
            agent_id=self.agent_id,
            session_id=self.session_id,
            speaker=self.speaker,
            memory_type=self.memory_type,
            since=optional_time(self.since, where + "since"),
            until=optional_time(self.until, where + "until"),
            include_invalidated=self.include_invalidated,
        )


class MemoryFilters(Filtered, forbid_unknown_fields=True, kw_only=True):
    """Which page of which memories; `tag` may be given several times."""

    tag: Tags | None = None
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT)] = 50
    cursor: Annotated[str, Meta(max_length=1000)] | None = None
    consistency: Consistency = "local"

    def filters(self) -> Filters:
        return self.with_tags(checked_tags(self.tag, "tag"))


class SearchQuery(Filtered, forbid_unknown_fields=True, kw_only=True):
    """One question; any string is a legal query."""

    query: Query
    tags: Tags | None = None
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT)] = 10
    explain: bool = False
    mode: SearchMode = "hybrid"
    # Sent by clients of the original HiveMindDB; a graph there is none yet.
    include_graph: bool | None = None

    def search(self, where: str = "") -> Search:
        filters = self.with_tags(checked_tags(self.tags, where + "tags"), where)
        return Search(self.query, filters, self.limit, self.mode, self.explain)


class SearchQueries(Struct, forbid_unknown_fields=True):
    """Questions answered one after the other."""

    queries: Annotated[list[SearchQuery], Meta(max_length=BULK_QUERIES)]
    # Sent by clients of the original HiveMindDB; the daemon chooses.
    max_concurrent: int | None = None

    def searches(self) -> list[Search]:
        return [query.search(f"queries[{place}].") for place, query in enumerate(self.queries)]


class LinesQuery(Reading, forbid_unknown_fields=True, kw_only=True):
    """A keyword to look for in every line of the vault."""

    keyword: Annotated[str, Meta(min_length=1, max_length=1000)]


class ChangesQuery(Reading, forbid_unknown_fields=True, kw_only=True):
    """Which part of the change feed."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT)] = 100


def blame(body: Because, query: Because) -> Blame:
    """Who and why from a body or, where it says nothing, from the query."""
    return Blame(body.reason or query.reason or "", body.changed_by or query.changed_by or "")

"""Request bodies and queries as callers send them, and how each becomes an intent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hiveminddb.daemon.intents import (
    Append,
    Blame,
    Draft,
    Edit,
    Filters,
    ImportFile,
    Patch,
    Replace,
    ReplaceSection,
    Search,
    SearchMode,
    SetContent,
    VaultChoice,
)
from hiveminddb.daemon.times import parse_time
from hiveminddb.errors import InvalidInput, TooLarge

CONTENT_BYTES = 10 * 1024 * 1024
METADATA_BYTES = 64 * 1024
METADATA_DEPTH = 32
BULK_LIMIT = 10_000
BULK_QUERIES = 100
LIST_LIMIT = 1_000
SEARCH_LIMIT = 200

MemoryType = Literal["fact", "episodic", "procedural", "semantic"]
# Long enough for any path, account or session name; short enough to index.
Name = Annotated[str, Meta(max_length=500)]
FilterName = Annotated[str, Meta(min_length=1, max_length=500)]
Tag = Annotated[str, Meta(max_length=200)]
Tags = Annotated[list[Tag], Meta(max_length=100)]
Metadata = dict[str, Any]
Time = Annotated[str, Meta(max_length=60, description="RFC 3339, or a date; UTC where no zone is given")]
Confidence = Annotated[float, Meta(ge=0, le=1)]
Reason = Annotated[str, Meta(max_length=10_000)]
Query = Annotated[str, Meta(max_length=100_000)]


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

    def draft(self, where: str = "") -> Draft:
        """The intent; InvalidInput names the field, after `where`."""
        valid_from = _time(self.valid_from, where + "valid_from")
        valid_until = _time(self.valid_until, where + "valid_until")
        _check_span(valid_from, valid_until, where)
        return Draft(
            content=_content(self.content, where + "content"),
            topic=self.topic or None,
            memory_type=self.memory_type or "fact",
            user_id=self.user_id or None,
            agent_id=self.agent_id or None,
            session_id=self.session_id or None,
            speaker=self.speaker or None,
            tags=_tags(self.tags, where + "tags"),
            metadata=_metadata(self.metadata, where + "metadata"),
            confidence=1.0 if self.confidence is None else self.confidence,
            source=self.source or None,
            created_at=_time(self.created_at, where + "created_at"),
            valid_from=valid_from,
            valid_until=valid_until,
        )


class NewMemories(Struct, forbid_unknown_fields=True):
    """Memories to add in one transaction; all are added or none."""

    memories: Annotated[list[NewMemory], Meta(max_length=BULK_LIMIT)]
    wait_vectors: bool = False

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
            tags=None if self.tags is None else _tags(self.tags, "tags"),
            metadata=None if self.metadata is None else _metadata(self.metadata, "metadata"),
            user_id=_cleared(self.user_id),
            agent_id=_cleared(self.agent_id),
            session_id=_cleared(self.session_id),
            speaker=_cleared(self.speaker),
            source=_cleared(self.source),
            valid_from=_patch_time(self.valid_from, "valid_from"),
            valid_until=_patch_time(self.valid_until, "valid_until"),
            version=self.version,
        )

    def blame(self) -> Blame:
        return Blame(self.reason or "", self.changed_by or "")

    def _edit(self) -> Edit | None:
        edits: dict[str, Edit] = {}
        if self.content is not None:
            edits["content"] = SetContent(_content(self.content, "content"))
        if self.append is not None:
            edits["append"] = Append(_content(self.append, "append"))
        if self.replace is not None:
            _check_length(self.replace.new, "replace.new")
            edits["replace"] = Replace(self.replace.old, self.replace.new)
        if self.section is not None:
            _check_length(self.section.content, "section.content")
            edits["section"] = ReplaceSection(self.section.heading, self.section.content)
        if len(edits) > 1:
            raise InvalidInput(f"{' and '.join(edits)} exclude each other", "send one of them")
        return next(iter(edits.values()), None)


class Because(Struct, forbid_unknown_fields=True):
    """Why, and who asks."""

    reason: Reason | None = None
    changed_by: Name | None = None


class MemoryFilters(Struct, forbid_unknown_fields=True):
    """Which memories; every filter given must hold."""

    topic: FilterName | None = None
    tag: Tags | None = None
    user_id: FilterName | None = None
    agent_id: FilterName | None = None
    session_id: FilterName | None = None
    speaker: FilterName | None = None
    memory_type: MemoryType | None = None
    since: Time | None = None
    until: Time | None = None
    include_invalidated: bool = False
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT)] = 50
    cursor: Annotated[str, Meta(max_length=1000)] | None = None

    def filters(self) -> Filters:
        return Filters(
            topic=self.topic,
            tags=_tags(self.tag, "tag"),
            user_id=self.user_id,
            agent_id=self.agent_id,
            session_id=self.session_id,
            speaker=self.speaker,
            memory_type=self.memory_type,
            since=_time(self.since, "since"),
            until=_time(self.until, "until"),
            include_invalidated=self.include_invalidated,
        )


class SearchQuery(Struct, forbid_unknown_fields=True):
    """One question; any string is a legal query, and every filter given must hold."""

    query: Query
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT)] = 10
    topic: FilterName | None = None
    tags: Tags | None = None
    user_id: FilterName | None = None
    agent_id: FilterName | None = None
    session_id: FilterName | None = None
    speaker: FilterName | None = None
    memory_type: MemoryType | None = None
    since: Time | None = None
    until: Time | None = None
    include_invalidated: bool = False
    explain: bool = False
    mode: SearchMode = "hybrid"
    # Sent by clients of the original HiveMindDB; a graph there is none yet.
    include_graph: bool | None = None

    def search(self, where: str = "") -> Search:
        filters = Filters(
            topic=self.topic,
            tags=_tags(self.tags, where + "tags"),
            user_id=self.user_id,
            agent_id=self.agent_id,
            session_id=self.session_id,
            speaker=self.speaker,
            memory_type=self.memory_type,
            since=_time(self.since, where + "since"),
            until=_time(self.until, where + "until"),
            include_invalidated=self.include_invalidated,
        )
        return Search(self.query, filters, self.limit, self.mode, self.explain)


class SearchQueries(Struct, forbid_unknown_fields=True):
    """Questions answered one after the other."""

    queries: Annotated[list[SearchQuery], Meta(max_length=BULK_QUERIES)]
    # Sent by clients of the original HiveMindDB; the daemon chooses.
    max_concurrent: int | None = None

    def searches(self) -> list[Search]:
        return [query.search(f"queries[{place}].") for place, query in enumerate(self.queries)]


class LinesQuery(Struct, forbid_unknown_fields=True):
    """A keyword to look for in every line of the vault."""

    keyword: Annotated[str, Meta(min_length=1, max_length=1000)]


class ChangesQuery(Struct, forbid_unknown_fields=True):
    """Which part of the change feed."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=LIST_LIMIT)] = 100


class MarkdownFile(Struct, forbid_unknown_fields=True):
    """A markdown file: its path inside the imported folder, and its exact text."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    text: str


class Import(Struct, forbid_unknown_fields=True):
    """Markdown files to take in."""

    files: Annotated[list[MarkdownFile], Meta(max_length=BULK_LIMIT)]

    def import_files(self) -> list[ImportFile]:
        return [ImportFile(file.path, file.text) for file in self.files]


class VaultAnswer(Struct, forbid_unknown_fields=True):
    """The answer to a vault that stopped to ask."""

    choice: VaultChoice


class Examination(Struct, forbid_unknown_fields=True):
    """What the doctor shall do."""

    rebuild: bool = False
    check: bool = True


def blame(body: Because, query: Because) -> Blame:
    """Who and why from a body or, where it says nothing, from the query."""
    return Blame(body.reason or query.reason or "", body.changed_by or query.changed_by or "")


def _content(text: str, where: str) -> str:
    if not text or text.isspace():
        raise InvalidInput(f"{where}: must not be empty", "a memory needs some text")
    _check_length(text, where)
    return text


def _check_length(text: str, where: str) -> None:
    # A character takes at most four bytes: most texts need no counting.
    if len(text) * 4 > CONTENT_BYTES and len(text.encode()) > CONTENT_BYTES:
        raise TooLarge(f"{where}: longer than {CONTENT_BYTES // 2**20} MiB", "split it into several memories")


def _tags(tags: list[str] | None, where: str) -> tuple[str, ...]:
    if not tags:
        return ()
    stripped = [tag.strip() for tag in tags]
    if not all(stripped):
        raise InvalidInput(f"{where}: a tag must not be empty", "leave it out")
    return tuple(dict.fromkeys(stripped))


def _metadata(metadata: Metadata | None, where: str) -> Metadata:
    if not metadata:
        return {}
    if _depth_exceeds(metadata, METADATA_DEPTH):
        raise InvalidInput(f"{where}: nested deeper than {METADATA_DEPTH} levels", "send flatter metadata")
    try:
        size = len(msgspec.json.encode(metadata))
    except OverflowError as error:
        raise InvalidInput(f"{where}: a number in it is out of range", "write very large numbers as text") from error
    if size > METADATA_BYTES:
        raise TooLarge(f"{where}: larger than {METADATA_BYTES // 1024} KiB", "put long text into the content")
    return metadata


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _time(text: str | None, where: str) -> datetime | None:
    return parse_time(text, where) if text else None


def _patch_time(text: str | None | UnsetType, where: str) -> datetime | None | UnsetType:
    return UNSET if text is UNSET else _time(text, where)


def _cleared(name: str | None | UnsetType) -> str | None | UnsetType:
    return name if name is UNSET else name or None


def _check_span(valid_from: datetime | None, valid_until: datetime | None, where: str) -> None:
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        raise InvalidInput(f"{where}valid_until: before valid_from", "give the later time as valid_until")

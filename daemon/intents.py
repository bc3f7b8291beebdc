"""What callers want, parsed and typed: the arguments of the use cases; every datetime is aware and in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, UnsetType

SearchMode = Literal["hybrid", "lexical", "vector"]
VaultChoice = Literal["accept_deletions", "restore_files", "recreate"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory to be added; `topic` as the caller wrote it, before the file-name rule."""

    content: str
    topic: str | None = None
    memory_type: str = "fact"
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 1.0
    source: str | None = None
    created_at: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SetContent:
    """The whole content anew."""

    content: str


@dataclass(frozen=True, slots=True)
class Append:
    """Text added after the content."""

    text: str


@dataclass(frozen=True, slots=True)
class Replace:
    """One passage, which must occur exactly once, replaced by another."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ReplaceSection:
    """What stands under one heading inside the content, replaced."""

    heading: str
    content: str


Edit = SetContent | Append | Replace | ReplaceSection


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes to one memory: None (or UNSET, where None means "clear it") leaves a field as it is."""

    edit: Edit | None = None
    topic: str | None = None
    memory_type: str | None = None
    confidence: float | None = None
    tags: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] | None = None
    user_id: str | None | UnsetType = UNSET
    agent_id: str | None | UnsetType = UNSET
    session_id: str | None | UnsetType = UNSET
    speaker: str | None | UnsetType = UNSET
    source: str | None | UnsetType = UNSET
    valid_from: datetime | None | UnsetType = UNSET
    valid_until: datetime | None | UnsetType = UNSET
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Blame:
    """Who asks for a change and why; empty where the caller did not say."""

    reason: str = ""
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which memories a list or a search may return; a memory must carry all of `tags`."""

    topic: str | None = None
    tags: tuple[str, ...] = ()
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    memory_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    include_invalidated: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """One question to the memory."""

    query: str
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    mode: SearchMode = "hybrid"
    explain: bool = False


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One markdown file to take in: its path relative to the imported folder, and its text."""

    path: str
    text: str

"""The fields of requests: their types as the parser checks them, and the checks no type can express."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hiveminddb.daemon.api.times import parse_time
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


def checked_content(text: str, where: str) -> str:
    if not text or text.isspace():
        raise InvalidInput(f"{where}: must not be empty", "a memory needs some text")
    check_length(text, where)
    return text


def check_length(text: str, where: str) -> None:
    # A character takes at most four bytes: most texts need no counting.
    if len(text) * 4 > CONTENT_BYTES and len(text.encode()) > CONTENT_BYTES:
        raise TooLarge(f"{where}: longer than {CONTENT_BYTES // 2**20} MiB", "split it into several memories")


def checked_tags(tags: list[str] | None, where: str) -> tuple[str, ...]:
    if not tags:
        return ()
    stripped = [tag.strip() for tag in tags]
    if not all(stripped):
        raise InvalidInput(f"{where}: a tag must not be empty", "leave it out")
    return tuple(dict.fromkeys(stripped))


def checked_metadata(metadata: Metadata | None, where: str) -> Metadata:
    if not metadata:
        return {}
    if _depth_exceeds(metadata, METADATA_DEPTH):
        raise InvalidInput(f"{where}: nested deeper than {METADATA_DEPTH} levels", "send flatter metadata")
    if len(msgspec.json.encode(metadata)) > METADATA_BYTES:
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


def optional_time(text: str | None, where: str) -> datetime | None:
    return parse_time(text, where) if text else None


def patch_time(text: str | None | UnsetType, where: str) -> datetime | None | UnsetType:
    return UNSET if text is UNSET else optional_time(text, where)


def cleared(name: str | None | UnsetType) -> str | None | UnsetType:
    return name if name is UNSET else name or None


def check_span(valid_from: datetime | None, valid_until: datetime | None, where: str) -> None:
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        raise InvalidInput(f"{where}valid_until: before valid_from", "give the later time as valid_until")

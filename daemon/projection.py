"""From a document's content to its row in the store. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hiveminddb.daemon.defaults import NO_DEFAULTS, Defaults
from hiveminddb.errors import InvalidInput
from hiveminddb.model import DocumentId
from hiveminddb.store.cues import embedding_text
from hiveminddb.store.rows import MemoryRow, text_hash
from hiveminddb.sync.document import Content
from hiveminddb.vault import markdown
from hiveminddb.vault.marks import marks
from hiveminddb.vault.topics import from_name

META = "meta:"
HEAD: Final = "head"
ENTRY: Final = "entry"

# Sorts before every position an entry can have: a head always stands first.
HEAD_POSITION = "0"


@dataclass(frozen=True, slots=True)
class Life:
    """A document's age: when it was made and last changed, in microseconds."""

    created: int
    updated: int


def project(
    document: DocumentId, content: Content, life: Life, defaults: Defaults = NO_DEFAULTS, slot: int = 0
) -> MemoryRow:
    """The memory that a document says it is; where it is silent, its file's front matter speaks.

    `slot` is where the index will have it, for a document that is new.
    """
    fields, text = content.fields, content.text
    is_head = fields.get("role") == HEAD
    start, end = markdown.body(text, is_head)
    gone = invalidation(content)
    created = life.created if fields.get("created_at") is None else int(fields["created_at"])
    return MemoryRow(
        id=document,
        topic=fields["topic"],
        position=fields["position"],
        role=HEAD if is_head else ENTRY,
        text=text,
        body_start=start,
        body_end=end,
        memory_type=fields.get("memory_type") or defaults.memory_type or "fact",
        user_id=fields.get("user_id") or defaults.user_id,
        agent_id=fields.get("agent_id") or defaults.agent_id,
        session_id=fields.get("session_id") or defaults.session_id,
        speaker=fields.get("speaker"),
        tags=tuple(sorted({*fields.get("tags", ()), *defaults.tags, *marks(text[start:end]).tags})),
        metadata=metadata(fields),
        confidence=fields.get("confidence", 1.0),
        source=fields.get("source"),
        created_at=created,
        # Hybrid time counts milliseconds: nothing was updated before it was created.
        updated_at=created if created // 1000 == life.updated // 1000 else life.updated,
        valid_from=_time(fields.get("valid_from")),
        valid_until=_time(fields.get("valid_until")),
        invalidated_at=_time(gone.get("at")),
        invalidated_reason=gone.get("reason"),
        invalidated_by=gone.get("by"),
        listed=not is_head or has_own_words(text, fields["topic"]),
        slot=slot,
        version=1 if slot else 0,
        text_hash=text_hash(embedding_text(text[start:end], fields.get("speaker"))),
    )


def _time(microseconds: float | None) -> int | None:
    """CRDT numbers are floats; microseconds of any year we take fit them exactly."""
    return None if microseconds is None else int(microseconds)


def invalidated(at: int, author: str, reason: str, seen: Content) -> dict[str, Any]:
    """The field that says a memory no longer holds; `seen` is what its author saw of it."""
    digest, topic = text_hash(seen.text).hex(), seen.fields["topic"]
    return {
        "at": at, "by": author, "reason": reason, "digest": digest, "topic": topic, "births": sorted(seen.births),
    }  # fmt: skip


def invalidation(content: Content) -> Mapping[str, Any]:
    """The invalidation that holds; an edit, a move or a birth that its author had not seen outlives it."""
    gone: Mapping[str, Any] = content.fields.get("invalidated") or {}
    seen = (
        gone
        and gone["topic"] == content.fields["topic"]
        and content.births.issubset(gone.get("births", ()))
        and gone["digest"] == text_hash(content.text).hex()
    )
    return gone if seen else {}


def has_own_words(text: str, topic: str) -> bool:
    """Whether a head says more than the file's name: prose, or a title that is not just the topic again."""
    if markdown.has_prose(text):
        return True
    title = markdown.head_title(text)
    try:
        return bool(title) and from_name(title) != from_name(topic.rsplit("/", 1)[-1])
    except InvalidInput:
        return True


def metadata(fields: Mapping[str, Any]) -> str:
    """The free metadata as a JSON object; in the document each key is a field of JSON text, so any value survives."""
    found = {key.removeprefix(META): fields[key] for key in sorted(fields) if key.startswith(META)}
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in found.items()) + "}" if found else "{}"


def metadata_fields(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The other way round."""
    return {META + key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}

"""From a draft to an entry in a topic's file. Runs on the writer thread, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hiveminddb.daemon.entries import Author, NewEntry
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import ENTRY, HEAD, HEAD_POSITION, metadata_fields
from hiveminddb.store import memories, topic_files
from hiveminddb.store.rows import MemoryRow, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import position
from hiveminddb.vault import markdown
from hiveminddb.vault.topics import Topics

# Who made a change, where the caller does not say.
CALLER = "api"


def add_drafts(tx: Transaction, pipeline: Pipeline, topics: Topics, drafts: Sequence[Draft]) -> list[MemoryRow]:
    """Write each draft as a new entry at the end of its topic; the rows in the order of the drafts."""
    now = datetime.now(UTC)
    last: dict[str, str | None] = {}
    heads: list[NewEntry] = []
    entries: list[NewEntry] = []
    for draft in drafts:
        title = title_of(draft, now)
        topic = topics.resolve(title)
        if topic not in last:
            topics.add(topic)
            end = memories.last_of(tx.connection, topic)
            if end is None or not end[1]:
                heads += opening(tx, topic, title, draft.agent_id or CALLER)
            last[topic] = None if end is None or end[0] == HEAD_POSITION else end[0]
        last[topic] = where = position.between(last[topic], None)
        entries.append(_entry(draft, topic, where, now))
    return pipeline.add(tx, [*heads, *entries])[len(heads) :]


def opening(tx: Transaction, topic: str, title: str, actor: str) -> list[NewEntry]:
    """The head that a topic without a living entry begins with; nothing where it has one."""
    if not topic_files.is_empty(tx.connection, topic):
        return []
    return [NewEntry(markdown.new_file(title), head_fields(topic), Author(actor, "topic opened"), equals=0)]


def head_fields(topic: str) -> dict[str, Any]:
    """The fields of a file's head."""
    return {"topic": topic, "position": HEAD_POSITION, "role": HEAD}


def last_position(tx: Transaction, topic: str) -> str | None:
    """The last position an entry has in the topic, None where only a head is there."""
    last = tx.last_position(topic)
    return None if last == HEAD_POSITION else last


def title_of(draft: Draft, now: datetime) -> str:
    """The topic asked for, else one named in the metadata (as older clients do), else the session's, else the day's."""
    named = draft.topic or draft.metadata.get("topic")
    if isinstance(named, str) and named.strip():
        return named.strip()
    return draft.session_id or f"journal-{draft.created_at or now:%Y-%m-%d}"


def _entry(draft: Draft, topic: str, where: str, now: datetime) -> NewEntry:
    at = draft.created_at or now
    fields = {"topic": topic, "position": where, "role": ENTRY, "created_at": to_microseconds(at), **_described(draft)}
    return NewEntry(markdown.entry(at, draft.content), fields, Author(draft.agent_id or CALLER))


def _described(draft: Draft) -> Mapping[str, Any]:
    return {
        "memory_type": draft.memory_type if draft.memory_type != "fact" else None,
        "user_id": draft.user_id,
        "agent_id": draft.agent_id,
        "session_id": draft.session_id,
        "speaker": draft.speaker,
        "tags": sorted(set(draft.tags)) or None,
        "confidence": draft.confidence if draft.confidence != 1.0 else None,
        "source": draft.source,
        "valid_from": micros(draft.valid_from),
        "valid_until": micros(draft.valid_until),
        **metadata_fields(draft.metadata),
    }


def micros(instant: datetime | None) -> int | None:
    """Microseconds since the epoch of an optional instant."""
    return None if instant is None else to_microseconds(instant)

"""The words of tool results: agent-memory's own for its five tools, plain data with ids for the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from hiveminddb.answers import Hits, Line, TopicText
from hiveminddb.model import Memory, Topic, Version


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a search result."""

    topic: str
    line: int
    text: str


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def search_results(keyword: str, literal: Sequence[Line], related: Sequence[Found]) -> str:
    """Literal matches by topic, then what is related by meaning in the same form."""
    if not literal and not related:
        return f"No memories found containing '{keyword.lower()}'."
    lines = [f"Search results for '{keyword.lower()}':\n"]
    lines += _by_topic(Found(one.topic, one.line, one.content) for one in literal)
    if related:
        lines.append("\nRelated by meaning:")
        lines += _by_topic(related)
    return "\n".join(lines)


def _by_topic(found: Iterable[Found]) -> list[str]:
    lines: list[str] = []
    for topic, group in groupby(found, key=lambda one: one.topic):
        lines.append(f"\n### Topic: {topic}")
        lines += [f"  Line {one.line}: {one.text}" for one in group]
    return lines


def topic_list(topics: Sequence[Topic], folder: str) -> str:
    if not topics:
        return f"No memory topics found in {folder}."
    lines = [
        f"  - {one.topic}  ({one.size_bytes} bytes, last modified {stamp(one.updated_at)})"
        for one in sorted(topics, key=lambda one: one.topic)
    ]
    return "\n".join([f"Available memory topics ({len(topics)} total):\n", *lines])


def place(topic: TopicText, id: str) -> tuple[int, int, str] | None:
    """First and last line of a memory in its file and the first line's text; None if it is not in there."""
    file, after = topic.text, 0
    for one in topic.memories:
        start = file.find(one.content, after) if one.content.strip() else -1
        if start < 0:
            continue
        # Others may say the same, each in its place.
        after = start + len(one.content)
        if one.id == id:
            lead = len(one.content) - len(one.content.lstrip())
            first = file.count("\n", 0, start + lead) + 1
            last = file.count("\n", 0, start + len(one.content.rstrip())) + 1
            return first, last, one.content.lstrip().split("\n", 1)[0].rstrip()
    return None


def memory(one: Memory) -> str:
    """A memory as data: where it comes from, then its text."""
    facts = [f"id: {one.id}", f"topic: {one.topic}", stamp(one.created_at)]
    facts += [f"{name}: {value}" for name, value in (("user", one.user_id), ("agent", one.agent_id)) if value]
    if one.tags:
        facts.append("tags: " + ", ".join(one.tags))
    if one.invalidated_at:
        facts.append(f"forgotten {stamp(one.invalidated_at)}: {one.invalidated_reason or 'no reason given'}")
    return f"[{' | '.join(facts)}]\n{one.content}"


def hits(found: Hits) -> str:
    if not found:
        return "No memories found. Try other words, or list_topics to see what there is."
    note = f"\n\nNote: {found.note}" if found.note else ""
    entries = (f"{place}. {memory(hit.memory)}" for place, hit in enumerate(found, 1))
    return f"{len(found)} memories, best first:\n\n" + "\n\n".join(entries) + note


def history(id: str, versions: Sequence[Version]) -> str:
    lines = [f"History of {id}, oldest first:"]
    for one in versions:
        by = f" by {one.changed_by}" if one.changed_by else ""
        why = f" ({one.reason})" if one.reason else ""
        lines.append(f"\nversion {one.version}: {one.operation} {stamp(one.timestamp)}{by}{why}\n{one.new_content}")
    return "\n".join(lines)

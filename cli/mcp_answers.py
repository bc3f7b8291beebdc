"""What each tool does: arguments in, the daemon asked, words out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from hiveminddb._calls import Ack, Consistency
from hiveminddb.aio import AsyncHiveMind
from hiveminddb.answers import Line, TopicText
from hiveminddb.cli import mcp_words as words
from hiveminddb.cli.mcp_arguments import Arguments
from hiveminddb.errors import InvalidInput, NotFound
from hiveminddb.model import Hit

# Enough to show what else there is, few enough not to bury the literal matches.
RELATED = 5
# Cosines of all-MiniLM-L6-v2 for texts that have nothing to do with each other stay below this.
NEAR = 0.25


@dataclass(slots=True)
class Memory:
    """The memory as the tools use it: the daemon, and who is asking."""

    mind: AsyncHiveMind
    agent: str | None = None
    user: str | None = None
    _folder: str = field(default="", init=False)

    async def folder(self) -> str:
        """The vault's folder."""
        if not self._folder:
            self._folder = (await self.mind.status()).vault.path
        return self._folder


async def remember(memory: Memory, given: Arguments) -> str:
    topic = given.need("topic")
    added = await memory.mind.add(given.need("content"), topic=topic, agent_id=memory.agent, user_id=memory.user)
    file = Path(await memory.folder(), added.topic + ".md")
    return f"Memory stored under topic '{topic}' at {words.stamp(added.created_at)}.\nFile: {file}"


async def recall(memory: Memory, given: Arguments) -> str:
    topic = given.need("topic")
    try:
        text = (await memory.mind.topic(topic)).text
    except NotFound:
        return f"No memories found for topic '{topic}'."
    if not text.strip():
        return f"Topic '{topic}' exists but contains no memories."
    return f"Memories for topic '{topic}':\n\n{text}"


async def forget(memory: Memory, given: Arguments) -> str:
    topic = given.need("topic")
    try:
        await memory.mind.forget_topic(topic, changed_by=memory.agent)
    except NotFound:
        return f"No memories found for topic '{topic}' — nothing to delete."
    return f"All memories for topic '{topic}' have been deleted."


async def search(memory: Memory, given: Arguments) -> str:
    keyword = given.need("keyword")
    literal = await memory.mind.lines(keyword) if keyword else []
    return words.search_results(keyword, literal, await _related(memory, keyword, literal))


async def _related(memory: Memory, keyword: str, literal: list[Line]) -> list[words.Found]:
    """Hits by meaning none of whose lines is listed already, best topic first."""
    listed = {(one.topic, one.line) for one in literal}
    files: dict[str, TopicText] = {}
    found: dict[str, list[words.Found]] = {}
    for hit in await memory.mind.search(keyword, limit=RELATED, explain=True):
        topic = hit.memory.topic
        if topic not in files:
            files[topic] = await memory.mind.topic(topic)
        at = words.place(files[topic], hit.memory.id)
        if at is None or not _is_near(hit) or any((topic, line) in listed for line in range(at[0], at[1] + 1)):
            continue
        found.setdefault(topic, []).append(words.Found(topic, at[0], at[2]))
    return [one for group in found.values() for one in group]


def _is_near(hit: Hit) -> bool:
    """Whether a hit has to do with the keyword; a search always finds something that is nearest."""
    why = hit.why or {}
    return "lexical" in why or ("vector" in why and why["vector"].score >= NEAR)


async def list_topics(memory: Memory, given: Arguments) -> str:
    return words.topic_list(await memory.mind.topics(), await memory.folder())


async def memory_add(memory: Memory, given: Arguments) -> str:
    added = await memory.mind.add(
        given.need("content"),
        topic=given.text("topic"),
        tags=given.lists.get("tags"),
        memory_type=given.text("memory_type"),
        user_id=given.text("user_id") or memory.user,
        agent_id=memory.agent,
        session_id=given.text("session_id"),
        created_at=given.text("created_at"),
        ack=cast("Ack | None", given.text("ack")),
    )
    waiting = "" if added.status == "committed" else f" ({added.status})"
    return f"Added memory {added.id} to topic '{added.topic}'{waiting}."


async def memory_search(memory: Memory, given: Arguments) -> str:
    hits = await memory.mind.search(
        given.need("query"),
        limit=given.numbers.get("limit"),
        topic=given.text("topic"),
        tags=given.lists.get("tags"),
        user_id=given.text("user_id"),
        agent_id=given.text("agent_id"),
        session_id=given.text("session_id"),
        since=given.text("since"),
        until=given.text("until"),
        consistency=cast("Consistency | None", given.text("consistency")),
    )
    return words.hits(hits)


async def memory_recall(memory: Memory, given: Arguments) -> str:
    id, topic = given.text("id"), given.text("topic")
    if (id is None) == (topic is None):
        raise InvalidInput("memory_recall takes either `id` or `topic`", "send one; memory_search finds ids")
    if id is not None:
        return words.memory(await memory.mind.get(id))
    assert topic is not None
    held = await memory.mind.topic(topic)
    return f"Topic '{held.topic}', {len(held.memories)} memories:\n\n" + "\n\n".join(map(words.memory, held.memories))


async def memory_update(memory: Memory, given: Arguments) -> str:
    content, replace, section = _edit(given)
    changed = await memory.mind.update(
        given.need("id"),
        content=content,
        append=given.text("append"),
        replace=replace,
        section=section,
        topic=given.text("topic"),
        tags=given.lists.get("tags"),
        reason=given.text("reason"),
        changed_by=memory.agent,
    )
    return f"Updated memory {changed.id} in topic '{changed.topic}', now version {changed.version}."


def _edit(given: Arguments) -> tuple[str | None, tuple[str, str] | None, tuple[str, str] | None]:
    """Which of the ways to change a text is meant: content, replace, section; `append` stands by itself."""
    content, heading = given.text("content"), given.text("heading")
    old, new = given.text("old"), given.text("new")
    if (old is None) != (new is None):
        raise InvalidInput("`old` and `new` belong together", "send the passage as `old` and its replacement as `new`")
    replace = None if old is None or new is None else (old, new)
    section = None
    if heading is not None:
        if content is None:
            raise InvalidInput("`heading` needs `content`", "send the section's new text as `content`")
        section, content = (heading, content), None
    if sum(way is not None for way in (content, given.text("append"), replace, section)) > 1:
        raise InvalidInput(
            "a memory is changed in one way at a time", "send content, append, old + new, or heading + content"
        )
    if not (set(given.texts) | set(given.lists)) - {"id", "reason"}:
        raise InvalidInput("nothing to change", "send content, append, old + new, heading + content, topic or tags")
    return content, replace, section


async def memory_forget(memory: Memory, given: Arguments) -> str:
    gone = await memory.mind.forget(given.need("id"), reason=given.text("reason"), changed_by=memory.agent)
    return f"Forgot memory {gone.id} of topic '{gone.topic}'. A person can bring it back: hmd restore {gone.id}"


async def memory_history(memory: Memory, given: Arguments) -> str:
    id = given.need("id")
    return words.history(id, await memory.mind.history(id))


ANSWERS: Mapping[str, Callable[[Memory, Arguments], Awaitable[str]]] = {
    answer.__name__: answer
    for answer in (
        remember,
        recall,
        forget,
        search,
        list_topics,
        memory_add,
        memory_search,
        memory_recall,
        memory_update,
        memory_forget,
        memory_history,
    )
}

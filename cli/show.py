"""show, history, diff, topics: reading what is there and what was."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

import click

from hiveminddb._calls import Consistency
from hiveminddb.answers import TopicText
from hiveminddb.cli.output import moment, note, paint, say, say_json, size, table
from hiveminddb.cli.session import Session, command, complete_topic, consistency_option, pass_session
from hiveminddb.cli.text import one_line, visible
from hiveminddb.client import HiveMind
from hiveminddb.errors import InvalidInput, NotFound
from hiveminddb.model import Memory, Version

_ID = re.compile(r"[a-z2-7]{4,20}")
_WHOLE_ID = 20


def named(mind: HiveMind, name: str, consistency: Consistency | None = None) -> Memory | TopicText:
    """What a person means by a name: a topic, or a memory by its id or the beginning of it."""
    if len(name) == _WHOLE_ID and _ID.fullmatch(name):
        try:
            return mind.get(name, consistency=consistency)
        except NotFound:
            return mind.topic(name, consistency=consistency)
    try:
        return mind.topic(name, consistency=consistency)
    except NotFound:
        if not _ID.fullmatch(name):
            raise
    try:
        return mind.get(name, consistency=consistency)
    except NotFound as cause:
        raise NotFound(f"neither a topic nor a memory: {name}", "see: hmd topics, hmd search") from cause


@command()
@click.argument("name", metavar="ID|TOPIC", shell_complete=complete_topic)
@consistency_option
@pass_session
def show(session: Session, name: str, consistency: Consistency | None) -> None:
    """Show a memory, or the whole file of a topic."""
    with session.client() as mind:
        found = named(mind, name, consistency)
    if session.json:
        say_json(found)
    elif isinstance(found, TopicText):
        click.echo(visible(found.text), nl=not found.text.endswith("\n"))
    else:
        for field, value in _facts(found):
            note(f"{paint(f'{field:<10}', dim=True)}{visible(value)}")
        click.echo(visible(found.content), nl=not found.content.endswith("\n"))


def _facts(memory: Memory) -> Iterator[tuple[str, str]]:
    yield "id", memory.id
    yield "topic", memory.topic
    yield "created", moment(memory.created_at)
    if memory.version > 1:
        yield "changed", f"{moment(memory.updated_at)} (version {memory.version})"
    yield "type", memory.memory_type
    for field, name in (("user", "user_id"), ("agent", "agent_id"), ("session", "session_id"), ("speaker", "speaker")):
        if value := getattr(memory, name):
            yield field, value
    if memory.tags:
        yield "tags", " ".join(memory.tags)
    if memory.source:
        yield "source", memory.source
    if memory.invalidated_at:
        why = f": {memory.invalidated_reason}" if memory.invalidated_reason else ""
        yield "forgotten", f"{moment(memory.invalidated_at)}{why}"


@command()
@click.argument("id")
@consistency_option
@pass_session
def history(session: Session, id: str, consistency: Consistency | None) -> None:
    """Tell the life of a memory, oldest first."""
    with session.client() as mind:
        versions = mind.history(id, consistency=consistency)
    if session.json:
        say_json(versions)
        return
    rows = [
        (
            str(one.version),
            moment(one.timestamp),
            one.operation,
            visible(one.changed_by or "-"),
            one_line(one.reason) or "-",
            one_line(one.new_content),
        )
        for one in versions
    ]
    table(rows, ("yellow", None, "cyan"), ("#", "when", "what", "by", "why", "content"))


@command()
@click.argument("id")
@click.argument("versions", nargs=-1, type=int, metavar="[FROM [TO]]")
@pass_session
def diff(session: Session, id: str, versions: tuple[int, ...]) -> None:
    """Show what changed in a memory.

    Its last change; or since version FROM; or from version FROM to version TO.
    """
    if len(versions) > 2:
        raise click.UsageError("at most two versions")
    with session.client() as mind:
        texts = contents(mind.history(id))
    begin, end = _span(texts, versions)
    lines = unified(texts[begin], texts[end], f"version {begin}", f"version {end}")
    if session.json:
        say_json({"from": begin, "to": end, "diff": "\n".join(lines)})
        return
    for line in lines:
        say(_colored(line))
    if not lines:
        note(f"no difference in the text between version {begin} and version {end}")


def contents(versions: Sequence[Version]) -> dict[int, str]:
    """The content of each version; 0 is before there was any."""
    return {0: "", **{one.version: one.new_content for one in versions}}


def _span(texts: dict[int, str], asked: Sequence[int]) -> tuple[int, int]:
    last = max(texts)
    begin, end = (*asked, last)[:2] if asked else (max((n for n in texts if n < last), default=0), last)
    for version in (begin, end):
        if version not in texts:
            raise InvalidInput(f"no such version: {version}", f"there are 1 to {last}")
    return begin, end


def unified(old: str, new: str, old_name: str, new_name: str) -> list[str]:
    """A unified diff of two texts as lines without ends."""
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""))


def _colored(line: str) -> str:
    shown = visible(line)
    if line.startswith(("+++", "---")):
        return paint(shown, bold=True)
    colors = {"+": "green", "-": "red", "@": "cyan"}
    return paint(shown, colors[line[0]]) if line[:1] in colors else shown


@command()
@consistency_option
@pass_session
def topics(session: Session, consistency: Consistency | None) -> None:
    """List the topics."""
    with session.client() as mind:
        found = mind.topics(consistency=consistency)
    if session.json:
        say_json(found)
        return
    rows = [(f"{one.memories:,}", size(one.size_bytes), moment(one.updated_at), one_line(one.topic)) for one in found]
    table(rows, (None, None, None, "cyan"), ("memories", "size", "changed", "topic"))
    if not found:
        note("no topics yet; add a memory: hmd add TEXT --topic NAME")

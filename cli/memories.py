"""add, forget, restore: writing memories."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from hiveminddb._calls import Ack
from hiveminddb.cli.output import amount, note, paint, say, say_json
from hiveminddb.cli.session import MOMENT, Session, ack_option, ask, command, complete_topic, pass_session
from hiveminddb.cli.text import one_line, visible
from hiveminddb.model import MEMORY_TYPES, Memory

SHORT = 8


def short(memory: Memory) -> str:
    """The memory's id, as much of it as a person needs to name it."""
    return paint(memory.id[:SHORT], "yellow")


@command()
@click.argument("text")
@click.option("--topic", "-t", help="The topic it goes into.", shell_complete=complete_topic)
@click.option("--tag", "tags", multiple=True, help="A tag (may be repeated).")
@click.option("--user", "user_id", default=lambda: os.environ.get("HIVEMIND_USER"), help="Whom it is about.")
@click.option("--agent", "agent_id", default=lambda: os.environ.get("HIVEMIND_AGENT"), help="Which agent says it.")
@click.option("--session", "session_id", help="The session it belongs to.")
@click.option("--speaker", help="Who said it.")
@click.option("--type", "memory_type", type=click.Choice(MEMORY_TYPES), help="What kind of memory it is.")
@click.option("--source", help="Where it comes from.")
@click.option("--confidence", type=click.FloatRange(0, 1), help="How sure it is, 0 to 1.")
@click.option("--at", "created_at", type=MOMENT, help="When it was so (default: now).")
@click.option("--from", "valid_from", type=MOMENT, help="When it begins to hold.")
@click.option("--until", "valid_until", type=MOMENT, help="When it ceases to hold.")
@ack_option
@pass_session
def add(session: Session, /, text: str, tags: tuple[str, ...], **fields: Any) -> None:
    """Add a memory: TEXT, or - for stdin."""
    content = sys.stdin.read() if text == "-" else text
    with session.client() as mind:
        memory = mind.add(content, tags=tags or None, **fields)
    if session.json:
        say_json(memory)
        return
    waiting = "" if memory.status == "committed" else f", {memory.status}"
    say(f"added {short(memory)} to {paint(visible(memory.topic), 'cyan')}{waiting}")


@command()
@click.argument("ids", nargs=-1, metavar="ID…")
@click.option("--topic", "-t", help="Forget a whole topic.", shell_complete=complete_topic)
@click.option("--reason", "-r", help="Why.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before forgetting a topic.")
@ack_option
@pass_session
def forget(
    session: Session, ids: tuple[str, ...], topic: str | None, reason: str | None, yes: bool, ack: Ack | None
) -> None:
    """Forget memories or a topic.

    They leave their file and the search; their history stays, and hmd restore brings them back.
    """
    one_kind(ids, topic)
    with session.client() as mind:
        if topic is not None:
            held = mind.topic(topic)
            ask(f"forget {amount(len(held.memories), 'memory', 'memories')} of {visible(held.topic)}?", yes)
            gone = mind.forget_topic(topic, reason=reason, changed_by=person(), ack=ack)
            _tell_topic(session, "forgot", gone.topic, gone.count, "hmd restore --topic " + gone.topic)
            return
        _tell(session, "forgot", [mind.forget(id, reason=reason, changed_by=person(), ack=ack) for id in ids])


@command()
@click.argument("ids", nargs=-1, metavar="ID…")
@click.option("--topic", "-t", help="Bring a whole topic back.")
@click.option("--reason", "-r", help="Why.")
@ack_option
@pass_session
def restore(session: Session, ids: tuple[str, ...], topic: str | None, reason: str | None, ack: Ack | None) -> None:
    """Bring forgotten memories or a topic back."""
    one_kind(ids, topic)
    with session.client() as mind:
        if topic is not None:
            back = mind.restore_topic(topic, reason=reason, changed_by=person(), ack=ack)
            _tell_topic(session, "restored", back.topic, back.count)
            return
        _tell(session, "restored", [mind.restore(id, reason=reason, changed_by=person(), ack=ack) for id in ids])


def one_kind(ids: tuple[str, ...], topic: str | None) -> None:
    """Refuses a line that names both memories and a topic, or neither."""
    if bool(ids) == (topic is not None):
        raise click.UsageError("give the ids of memories, or --topic with the name of one")


def person() -> str | None:
    """Who makes a change, where the environment says so."""
    return os.environ.get("HIVEMIND_USER") or os.environ.get("HIVEMIND_AGENT")


def _tell(session: Session, done: str, memories: list[Any]) -> None:
    if session.json:
        say_json(memories)
        return
    for memory in memories:
        say(f"{done} {short(memory)}  {one_line(memory.content)[:60]}")


def _tell_topic(session: Session, done: str, topic: str, count: int, undo: str = "") -> None:
    if session.json:
        say_json({"topic": topic, "count": count})
        return
    say(f"{done} {amount(count, 'memory', 'memories')} of {paint(visible(topic), 'cyan')}")
    if undo:
        note(f"undo: {visible(undo)}")

"""swarm: the machines that share this memory."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from hiveminddb.cli import swarm_words
from hiveminddb.cli.output import amount, note, paint, say, say_json, table
from hiveminddb.cli.session import Group, Session, ask, pass_session
from hiveminddb.cli.text import one_line
from hiveminddb.swarm import SwarmStatus

_COLORS = ("cyan", "yellow")
_HEAD = ("name", "id", "address", "role", "last seen", "state")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
@pass_session
def swarm(session: Session, ctx: click.Context) -> None:
    """Show the machines that share this memory.

    Each with its name, id, address, role, when it was last heard of, and how many edits one of the two still lacks.
    Without a majority of the voters in reach nothing is lost: edits are kept and merge later; only leases and
    membership wait.
    """
    if ctx.invoked_subcommand is not None:
        return
    with session.client() as mind:
        now = mind.swarm()
    if session.json:
        say_json(now)
    else:
        show(now)


def show(now: SwarmStatus) -> None:
    """A swarm for a person."""
    words, good = swarm_words.summary(now)
    say(words if good else paint(words, "yellow"))
    if waiting := swarm_words.pending(now):
        say(waiting)
    table(swarm_words.rows(now, datetime.now(UTC)), _COLORS, _HEAD)
    if advice := swarm_words.advice(now):
        say(paint(advice, "yellow"))


@swarm.command()
@click.argument("node")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, node: str, yes: bool) -> None:
    """Remove a machine, named by its name or id.

    It is refused from now on. What it has sent so far stays; what it alone has does not come.
    """
    ask(f"remove {one_line(node)} from the swarm?", yes)
    with session.client() as mind:
        now = mind.remove_node(node)
    _told(session, now, f"removed {one_line(node)}")


@swarm.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def leave(session: Session, yes: bool) -> None:
    """Leave the swarm.

    This machine keeps all memories it has, and shares no later ones.
    """
    ask("leave the swarm? this machine keeps its memories and shares no later ones", yes)
    with session.client() as mind:
        now = mind.leave()
    _told(session, now, "left the swarm; all memories are still here")


@swarm.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def recover(session: Session, yes: bool) -> None:
    """Decide again after a majority is gone for good.

    Forms consensus anew from this machine; the others that are left follow it. Memories are not touched. Never do this
    while the missing machines may come back: both halves would then decide by themselves.
    """
    ask("are the missing machines gone for good?", yes)
    with session.client() as mind:
        now = mind.recover()
    _told(session, now, "consensus is formed anew")


@swarm.command()
@click.argument("name")
@pass_session
def rename(session: Session, name: str) -> None:
    """Give this machine another name."""
    with session.client() as mind:
        now = mind.rename(name)
    _told(session, now, f"this machine is now {one_line(now.name)}")


def _told(session: Session, now: SwarmStatus, words: str) -> None:
    if session.json:
        say_json(now)
        return
    say(words)
    if len(now.nodes) > 1:
        note(f"the swarm: {amount(len(now.nodes), 'machine')} (hmd swarm)")

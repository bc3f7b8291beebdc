"""invite and join: how two machines come to share one memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from hiveminddb.cli.output import amount, note, on_terminal, paint, say, say_json
from hiveminddb.cli.session import FAILED, Session, ask, command, pass_session
from hiveminddb.cli.swarm_words import SHORT
from hiveminddb.cli.text import one_line
from hiveminddb.client import HiveMind
from hiveminddb.errors import Conflict
from hiveminddb.swarm import Introduction, Invite, Joined, SwarmNode

LOOK_EVERY = 0.3
# Memories flow for as long as they flow; when nothing comes for so long, they go on in the background.
STILL_SECONDS = 20.0


@command()
@click.option("--no-wait", is_flag=True, help="Only print the code; it stays good for ten minutes.")
@click.pass_context
@pass_session
def invite(session: Session, ctx: click.Context, no_wait: bool) -> None:
    """Let another machine in.

    Prints a code for one machine, good for ten minutes and three tries, and waits until it has joined. On the other
    machine: hmd join CODE. Ctrl-C ends the invite.
    """
    with session.client() as mind:
        made = mind.invite()
        try:
            _tell_code(session, made, no_wait)
            ended = made if no_wait else _watched(mind, made)
        except KeyboardInterrupt:
            mind.end_invite()
            note("")
            raise click.Abort from None
    if no_wait:
        return
    _tell_end(session, ended)
    if ended.state != "joined":
        ctx.exit(FAILED)


def _tell_code(session: Session, made: Invite, no_wait: bool) -> None:
    if session.json:
        say_json(made, line=True)
        return
    minutes = max(round((made.expires_at - datetime.now(UTC)).total_seconds() / 60), 1)
    say(f"{paint('on the other machine:', dim=True)} hmd join {paint(made.code, 'yellow', bold=True)}")
    waiting = "" if no_wait else "; waiting, Ctrl-C ends it"
    note(f"good for {amount(minutes, 'minute')} and one machine{waiting}")


def _watched(mind: HiveMind, made: Invite) -> Invite:
    """The invite when it is used or over."""
    now = made
    while now.state in ("open", "joining"):
        time.sleep(LOOK_EVERY)
        before, now = now, mind.invited()
        if now.code != made.code:
            raise Conflict("another invite took the place of this one", "its code is the one that counts")
        _tell_step(before, now)
    return now


def _tell_step(before: Invite, now: Invite) -> None:
    if now.tries_left < before.tries_left:
        note(f"a wrong code was tried; {amount(now.tries_left, 'try', 'tries')} left")
    if now.state == "joining" and before.state != "joining":
        note(f"{one_line(now.name) or 'a machine'} is joining")


def _tell_end(session: Session, ended: Invite) -> None:
    if session.json:
        say_json(ended, line=True)
    elif ended.state == "joined":
        known = f" ({ended.node[:SHORT]})" if ended.node else ""
        say(f"{paint(one_line(ended.name), 'cyan')}{known} has joined; you share one memory now")
    else:
        note(f"nobody has joined: {one_line(ended.reason) or 'the invite is over'}")


@command()
@click.argument("code")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the memories have been exchanged.")
@pass_session
def join(session: Session, code: str, yes: bool, no_wait: bool) -> None:
    """Join the machine that printed CODE with hmd invite.

    Shows whom the code leads to and how many memories come and go before anything is done. Both sides then have all
    memories of both, and every later change; files of the same name are merged.
    """
    with session.client() as mind:
        found = mind.look(code)
        try:
            _tell_found(session, found)
            ask(f"share one memory with {one_line(found.name)}?", yes)
        except BaseException:
            mind.hang_up()
            raise
        joined = mind.join()
        exchanged = _Exchange(0, 0, False) if no_wait else _exchanged(mind, joined)
    _tell_joined(session, joined, exchanged)


def _tell_found(session: Session, found: Introduction) -> None:
    if session.json:
        return
    others = f", one of {found.nodes} machines" if found.nodes > 1 else ""
    say(f"{paint(one_line(found.name), 'cyan')} ({found.node[:SHORT]}){others}")
    say(f"  {amount(found.memories_there, 'memory', 'memories')} would come from there")
    say(f"  {amount(found.memories_here, 'memory', 'memories')} would go there from here")


@dataclass(frozen=True, slots=True)
class _Exchange:
    """How the exchange of memories stands: what is here now, what is still to move, whether it is over."""

    memories: int
    left: int
    done: bool


def _exchanged(mind: HiveMind, joined: Joined) -> _Exchange:
    """Waits until both sides have all, or nothing has moved for a while."""
    last: tuple[int | None, ...] = ()
    moved = time.monotonic()
    while True:
        # First who lacks what, then what is here: so all that was to come is counted.
        peer = _peer(mind, joined)
        lag, ahead = (peer.lag, peer.ahead) if peer else (None, None)
        memories, left = mind.status().memories, (lag or 0) + (ahead or 0)
        if (memories, lag, ahead) != last:
            last, moved = (memories, lag, ahead), time.monotonic()
            _tell_progress(left)
        done = (lag, ahead) == (0, 0)
        if done or time.monotonic() - moved > STILL_SECONDS:
            return _Exchange(memories, left, done)
        time.sleep(LOOK_EVERY)


def _peer(mind: HiveMind, joined: Joined) -> SwarmNode | None:
    return next((node for node in mind.swarm().nodes if node.id == joined.node), None)


def _tell_progress(left: int) -> None:
    if on_terminal() and left:
        click.echo(f"\r{amount(left, 'edit')} to exchange \x1b[K", nl=False, err=True)


def _tell_joined(session: Session, joined: Joined, exchanged: _Exchange) -> None:
    if session.json:
        say_json({"joined": joined, "memories": exchanged.memories, "left": exchanged.left, "done": exchanged.done})
        return
    if on_terminal():
        click.echo("\r\x1b[K", nl=False, err=True)
    say(f"joined {paint(one_line(joined.name), 'cyan')}: {amount(joined.nodes, 'machine')} share this memory")
    if exchanged.done:
        say(f"all is exchanged: {amount(exchanged.memories, 'memory', 'memories')} here and there")
    else:
        note("memories are still being exchanged; see: hmd swarm")

"""up, daemon, down, mcp: the processes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from hiveminddb._address import data_dir
from hiveminddb.cli import launch
from hiveminddb.cli.output import home, note, paint, say, say_json
from hiveminddb.cli.session import Session, command, pass_session


def swarm_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a start that are about other machines."""
    for option in (
        click.option(
            "--swarm-key",
            metavar="KEY",
            help="Machines with this key join unattended (or: HIVEMIND_SWARM_KEY).",
        ),
        click.option("--name", help="What this machine is called (default: its host name)."),
        click.option("--peers", metavar="HOST:PORT,…", help="Machines to look for where multicast does not reach."),
        click.option("--peer-addr", metavar="HOST:PORT", help="Where other machines reach this one."),
    ):
        command = option(command)
    return command


def launch_of(session: Session, swarm: Mapping[str, str | None]) -> launch.Launch:
    """How this run would start a daemon."""
    return launch.Launch(session.data_dir, session.vault, session.listen, **swarm)


@command()
@swarm_options
@pass_session
def up(session: Session, /, **swarm: str | None) -> None:
    """Start the daemon in the background.

    It keeps to this machine until another is let in (hmd invite, hmd join) or --swarm-key or --peers is given.
    """
    how = launch_of(session, swarm)
    address, started = launch.start(how)
    if session.json:
        say_json({"url": address.url, "pid": address.pid, "started": started, "log": str(how.log)})
        return
    doing = "started" if started else "already running"
    say(f"{paint('HiveMindDB', bold=True)} {doing}: {paint(address.url, 'cyan')} (pid {address.pid})")
    with session.client() as mind:
        vault = mind.status().vault
    say(f"vault  {home(vault.path)}")
    say(f"log    {home(str(how.log))}")
    if not started and (session.vault or session.listen or any(swarm.values())):
        note("note: what you gave counts at the next start: hmd down, then hmd up")


@command()
@swarm_options
@pass_session
def daemon(session: Session, /, **swarm: str | None) -> None:
    """Run the daemon in the foreground."""
    how = launch_of(session, swarm)
    words = how.command()
    os.execve(words[0], words, how.environment())


@command()
@pass_session
def down(session: Session) -> None:
    """Stop the daemon and wait until it has ended."""
    pid = launch.stop(data_dir(session.data_dir))
    if session.json:
        say_json({"stopped": pid})
    else:
        say(f"{paint('HiveMindDB', bold=True)} stopped (pid {pid})")


@command()
@pass_session
def mcp(session: Session) -> None:
    """Serve MCP on stdin and stdout, for an agent.

    Starts the daemon if none runs.
    """
    gc.disable()  # importing the SDK makes many objects and no garbage
    serve = _bridge()
    gc.freeze()
    gc.enable()
    if sys.stdin.isatty():
        note("hmd mcp speaks MCP on stdin and stdout; an agent's settings start it, a person uses the other commands")
    serve(session)


def _bridge() -> Callable[[Session], None]:
    # It costs more than all other commands together.
    from hiveminddb.cli import mcp_sdk

    mcp_sdk.hollow()
    try:
        from hiveminddb.cli.mcp import serve
    except ImportError:
        # Another version of the SDK may need more of itself.
        mcp_sdk.whole()
        from hiveminddb.cli.mcp import serve
    return serve

"""up, daemon, down, mcp: the processes."""

from __future__ import annotations

import gc
import os
import sys

from hiveminddb._address import data_dir
from hiveminddb.cli import launch
from hiveminddb.cli.output import home, note, paint, say, say_json
from hiveminddb.cli.session import Session, command, pass_session


def launch_of(session: Session) -> launch.Launch:
    """How this run would start a daemon."""
    return launch.Launch(session.data_dir, session.vault, session.listen)


@command()
@pass_session
def up(session: Session) -> None:
    """Start the daemon in the background."""
    how = launch_of(session)
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
    if not started and (session.vault or session.listen):
        note("note: --vault and --listen count at the next start: hmd down, then hmd up")


@command()
@pass_session
def daemon(session: Session) -> None:
    """Run the daemon in the foreground."""
    words = launch_of(session).command()
    os.execv(words[0], words)


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
    from hiveminddb.cli.mcp import serve  # it costs more than all other commands together

    gc.freeze()
    gc.enable()
    if sys.stdin.isatty():
        note("hmd mcp speaks MCP on stdin and stdout; an agent's settings start it, a person uses the other commands")
    serve(session)

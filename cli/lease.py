"""lease: a key that one holder has alone."""

from __future__ import annotations

import os
import socket

import click

from hiveminddb._calls import Consistency
from hiveminddb.cli.memories import person
from hiveminddb.cli.output import note, paint, say, say_json, table
from hiveminddb.cli.session import Group, Session, consistency_option, pass_session
from hiveminddb.cli.text import one_line
from hiveminddb.swarm import Lease


@click.group(cls=Group, no_args_is_help=True)
def lease() -> None:
    """Hold a key alone, for a time.

    Of all machines and agents one gets it. It carries a token, a number that only grows: give it to what the key
    protects, which refuses whoever comes with a smaller one. A lease ends when its time is over; renew it to keep it.
    """


@lease.command()
@click.argument("key")
@click.option("--holder", default=lambda: person() or f"{socket.gethostname()}-{os.getppid()}", help="Who holds it.")
@click.option("--ttl", "ttl_s", type=float, default=30.0, show_default=True, help="Seconds it lasts unless renewed.")
@pass_session
def acquire(session: Session, key: str, holder: str, ttl_s: float) -> None:
    """Take KEY; fails at once while anyone holds it."""
    with session.client() as mind:
        taken = mind.lease(key, holder, ttl_s=ttl_s)
    _tell(session, taken, "acquired")


@lease.command()
@click.argument("key")
@click.argument("number", metavar="TOKEN", type=int)
@pass_session
def renew(session: Session, key: str, number: int) -> None:
    """Let the lease on KEY with TOKEN last its whole time again."""
    with session.client() as mind:
        renewed = mind.renew(key, number)
    _tell(session, renewed, "renewed")


@lease.command()
@click.argument("key")
@click.argument("number", metavar="TOKEN", type=int)
@pass_session
def release(session: Session, key: str, number: int) -> None:
    """Give KEY free."""
    with session.client() as mind:
        mind.release(key, number)
    if session.json:
        say_json({"key": key, "released": True})
    else:
        say(f"released {one_line(key)}")


@lease.command("list")
@consistency_option
@pass_session
def list_(session: Session, consistency: Consistency | None) -> None:
    """List what is held, by whom."""
    with session.client() as mind:
        held = mind.leases(consistency=consistency)
    if session.json:
        say_json(held)
        return
    rows = [(one_line(one.key), one_line(one.holder), str(one.token), f"{one.ttl_s:g} s") for one in held]
    table(rows, ("cyan", None, "yellow"), ("key", "holder", "token", "lasts"))
    if not held:
        note("nothing is held")


def _tell(session: Session, held: Lease, done: str) -> None:
    if session.json:
        say_json(held)
        return
    token = paint(str(held.token), "yellow")
    say(f"{done} {paint(one_line(held.key), 'cyan')} for {held.ttl_s:g} s, token {token}")

"""log: what changed, as it happens."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from hiveminddb.answers import FeedChange
from hiveminddb.cli.memories import SHORT
from hiveminddb.cli.output import moment, paint, say, say_json
from hiveminddb.cli.session import Session, command, pass_session
from hiveminddb.cli.text import one_line, pad
from hiveminddb.client import HiveMind

POLL_SECONDS = 0.5
_PAGE = 500
_COLORS = {"add": "green", "update": "cyan", "invalidate": "red", "restore": "green", "move": "magenta"}


@command()
@click.option(
    "--limit", "-n", type=click.IntRange(0, 10_000), default=20, show_default=True, help="How many to begin with."
)
@click.option("--after", type=click.IntRange(0), help="Begin after this change number instead.")
@click.option("--follow", "-f", is_flag=True, help="Go on as changes happen.")
@pass_session
def log(session: Session, limit: int, after: int | None, follow: bool) -> None:
    """Show the latest changes, newest last."""
    with session.client() as mind:
        seen = max(mind.status().changes - limit, 0) if after is None else after
        seen = _show_after(mind, session, seen, None if after is None else limit)
        try:
            while follow:
                time.sleep(POLL_SECONDS)
                seen = _show_after(mind, session, seen, None)
        except KeyboardInterrupt:
            return


def _show_after(mind: HiveMind, session: Session, seen: int, limit: int | None) -> int:
    """Shows all changes after a position, or the first so many; the position reached."""
    while changes := mind.changes(after=seen, limit=min(limit or _PAGE, _PAGE)):
        _show(changes, session.json)
        seen = changes[-1].n
        if limit is not None:
            limit -= len(changes)
            if limit <= 0:
                break
    return seen


def _show(changes: Sequence[FeedChange], as_json: bool) -> None:
    for one in changes:
        if as_json:
            say_json(one, line=True)
            continue
        action = paint(pad(one.action, 10), _COLORS.get(one.action))
        where = paint(one_line(one.topic or ""), "cyan")
        by = paint(one_line(" ".join(part for part in (one.actor, one.reason) if part)), dim=True)
        say(f"{one.n:>6}  {moment(one.at)}  {action}  {paint(one.document[:SHORT], 'yellow')}  {where}  {by}".rstrip())

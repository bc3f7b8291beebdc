"""log: what changed, as it happens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

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
        if after is None:
            seen = max(mind.status().changes - limit, 0)
            latest = deque(_changes(mind, seen), maxlen=limit)
        else:
            seen = after
            latest = deque(islice(_changes(mind, seen), limit))
        _show(latest, session.json)
        seen = latest[-1].n if latest else seen
        try:
            while follow:
                time.sleep(POLL_SECONDS)
                for change in _changes(mind, seen):
                    _show([change], session.json)
                    seen = change.n
        except KeyboardInterrupt:
            return


def _changes(mind: HiveMind, after: int) -> Iterator[FeedChange]:
    """The changes after a position, up to now."""
    while True:
        page = mind.changes(after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].n


def _show(changes: Iterable[FeedChange], as_json: bool) -> None:
    for one in changes:
        if as_json:
            say_json(one, line=True)
            continue
        action = paint(pad(one.action, 10), _COLORS.get(one.action))
        where = paint(one_line(one.topic or ""), "cyan")
        by = paint(one_line(" ".join(part for part in (one.actor, one.reason) if part)), dim=True)
        say(f"{one.n:>6}  {moment(one.at)}  {action}  {paint(one.document[:SHORT], 'yellow')}  {where}  {by}".rstrip())

"""search: the memories that answer a question."""

from __future__ import annotations

from typing import Any

import click

from hiveminddb.answers import Hits
from hiveminddb.cli.memories import short
from hiveminddb.cli.output import columns, moment, note, on_terminal, paint, say, say_json
from hiveminddb.cli.session import MOMENT, Session, command, complete_topic, consistency_option, pass_session
from hiveminddb.cli.text import cut, visible, wrap
from hiveminddb.model import MEMORY_TYPES, Hit, Memory

# Lines of a memory shown on a terminal; `hmd show` has the rest.
LINES = 4
# Even on a wide terminal, prose this long is easier to read.
_WIDEST = 100
_INDENT = "  "


@command()
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", "-n", type=click.IntRange(1, 200), default=10, show_default=True, help="How many.")
@click.option("--topic", "-t", help="Only in this topic.", shell_complete=complete_topic)
@click.option("--tag", "tags", multiple=True, help="Only with this tag (may be repeated: all of them).")
@click.option("--user", "user_id", help="Only about this user.")
@click.option("--agent", "agent_id", help="Only by this agent.")
@click.option("--session", "session_id", help="Only of this session.")
@click.option("--speaker", help="Only said by this speaker.")
@click.option("--type", "memory_type", type=click.Choice(MEMORY_TYPES), help="Only of this kind.")
@click.option("--since", type=MOMENT, help="Not older than this time or age (7d).")
@click.option("--until", type=MOMENT, help="Not younger than this time or age.")
@click.option("--forgotten", "include_invalidated", is_flag=True, help="Forgotten ones too.")
@click.option("--explain", is_flag=True, help="Show what each arm of the search thought.")
@click.option(
    "--mode", type=click.Choice(["hybrid", "lexical", "vector"]), help="Search by words, by meaning, or both."
)
@consistency_option
@pass_session
def search(session: Session, /, query: tuple[str, ...], tags: tuple[str, ...], **asked: Any) -> None:
    """Find memories by words and by meaning."""
    with session.client() as mind:
        hits = mind.search(" ".join(query), tags=tags or None, **asked)
    if session.json:
        say_json(hits)
        return
    show(hits)


def show(hits: Hits) -> None:
    """Hits for a person."""
    if not hits:
        note("nothing found")
    for number, hit in enumerate(hits):
        if number and on_terminal():
            say()
        say(_heading(hit.memory))
        _body(hit)
    if hits.note:
        note("\n".join(wrap(f"note: {visible(hits.note)}", columns())))


def _heading(memory: Memory) -> str:
    tags = "".join(f" #{visible(tag)}" for tag in memory.tags)
    gone = paint(" forgotten", "red") if memory.invalidated_at else ""
    topic = cut(visible(memory.topic), max(columns() - 30, 12))
    return f"{short(memory)}  {paint(topic, 'cyan')}  {paint(moment(memory.created_at) + tags, dim=True)}{gone}"


def _body(hit: Hit) -> None:
    lines = visible(hit.memory.content).strip("\n").split("\n")
    if on_terminal():
        lines = wrap("\n".join(lines), min(columns(), _WIDEST) - len(_INDENT))
        more = len(lines) > LINES
        lines = lines[:LINES] + ([paint("…", dim=True)] if more else [])
    for line in lines:
        say(_INDENT + line if line else "")
    if hit.why is not None:
        arms = ", ".join(f"{arm} {thought.rank}. ({thought.score:.3g})" for arm, thought in hit.why.items())
        say(_INDENT + paint(f"score {hit.score:.4f} = {arms}", dim=True))

"""status and config: how the daemon is, and how it was told to be."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hiveminddb._address import find
from hiveminddb.cli import swarm_words
from hiveminddb.cli.output import amount, columns, home, paint, say, say_json, size, table
from hiveminddb.cli.session import Session, command, pass_session
from hiveminddb.cli.text import pad, visible, wrap
from hiveminddb.upkeep import Status

_INDENT = 10
_MIRRORED = "mirrored"
_READY, _OFF = "ready", "off"


@command()
@pass_session
def status(session: Session) -> None:
    """Tell the daemon's health in one screen."""
    with session.client() as mind:
        now = mind.status()
    if session.json:
        say_json(now)
        return
    address = find(session.url, session.token, session.data_dir)
    head = f"{paint('HiveMindDB', bold=True)} {now.version} {paint('is running', 'green')}"
    say(f"{head} for {_duration(now.uptime_s)} at {paint(address.url, 'cyan')}")
    for name, words, good in screen(now):
        first, *rest = wrap(visible(words), max(columns() - _INDENT, 10))
        say(paint(pad(name, _INDENT), dim=True) + (first if good else paint(first, "yellow")))
        for line in rest:
            say(" " * _INDENT + (line if good else paint(line, "yellow")))


def screen(now: Status) -> list[tuple[str, str, bool]]:
    """The lines of a status: name, words, whether all is well."""
    forgotten = f", {now.invalidated:,} forgotten" if now.invalidated else ""
    memory = f"{amount(now.memories, 'memory', 'memories')} in {amount(now.topics, 'topic')}{forgotten}"
    return [
        ("memory", memory, True),
        ("vault", *_vault(now)),
        ("search", *_search(now)),
        ("model", *_model(now)),
        ("to do", _pending(now), True),
        ("swarm", *swarm_words.summary(now.swarm)),
        *_of_swarm(now, datetime.now(UTC)),
        ("data", f"{home(now.data_dir)} ({size(now.database_bytes)}), {amount(now.changes, 'change')} so far", True),
    ]


def _of_swarm(now: Status, at: datetime) -> list[tuple[str, str, bool]]:
    """What waits to be committed, and how each of the other machines is; nothing where there are none."""
    if now.swarm.state == "alone":
        return []
    waiting = swarm_words.pending(now.swarm)
    lines = [("", waiting, True)] if waiting else []
    for node in now.swarm.nodes:
        if node.id != now.node_id:
            words, good = swarm_words.peer(node, at)
            lines.append(("", f"{node.name}: {words}", good))
    if advice := swarm_words.advice(now.swarm):
        lines.append(("", advice, False))
    return lines


def _vault(now: Status) -> tuple[str, bool]:
    vault = now.vault
    place = f"{home(vault.path)}, {amount(vault.files, 'file')}"
    if vault.state != _MIRRORED:
        return f"{place}, {vault.state}: {vault.reason or 'see its log'} (to answer: hmd doctor --help)", False
    return (f"{place}; {vault.reason}", False) if vault.reason else (place, True)


def _search(now: Status) -> tuple[str, bool]:
    words = {"hybrid": "by words and by meaning", "lexical": "by words only", "vector": "by meaning only"}
    told = words.get(now.search.mode, now.search.mode)
    return (now.search.note.removeprefix("searched "), False) if now.search.note else (told, True)


def _model(now: Status) -> tuple[str, bool]:
    model = now.embedding
    if model.state == _OFF:
        return f"off: {model.reason}" if model.reason else "off", True
    count = f"{amount(model.vectors, 'vector')}" + (f", {model.missing:,} to come" if model.missing else "")
    state = "" if model.state == _READY else f", {model.state}"
    told = f"{model.model}{state}, {count}"
    return (f"{told}: {model.reason}", False) if model.reason else (told, True)


def _pending(now: Status) -> str:
    todo = [
        (now.pending.mirror, f"{amount(now.pending.mirror, 'file')} to write"),
        (now.pending.embed if now.embedding.state != _OFF else 0, f"{amount(now.pending.embed, 'text')} to embed"),
    ]
    return ", ".join(words for count, words in todo if count) or "nothing"


def _duration(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return amount(int(seconds // length), unit)
    return amount(int(seconds), "second")


@command()
@pass_session
def config(session: Session) -> None:
    """Show every setting and where its value came from."""
    with session.client() as mind:
        settings = mind.config()
    if session.json:
        say_json(settings)
        return
    rows = [(one.name, visible(_value(one.value)), one.source) for one in settings]
    table(rows, ("cyan", None, "bright_black"), ("setting", "value", "from"))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

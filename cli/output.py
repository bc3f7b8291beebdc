"""What the commands print: coloured and fitted on a terminal, plain when piped, JSON when asked."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import click

from hiveminddb.answers import Hits
from hiveminddb.cli.text import cut, pad, width

# Narrower than this nothing fits; a terminal that says so is not believed.
_NARROWEST = 20


def on_terminal() -> bool:
    return sys.stdout.isatty()


def columns() -> int:
    """How many cells a line may take; piped output is not cut."""
    return max(shutil.get_terminal_size().columns, _NARROWEST) if on_terminal() else 10_000


def paint(text: str, color: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """The text in a colour, unless NO_COLOR is set (what is piped loses its colour when written)."""
    if os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=color, bold=bold or None, dim=dim or None)


def say(text: str = "") -> None:
    click.echo(text)


def note(text: str) -> None:
    """Something beside the result, on stderr."""
    click.echo(text, err=True)


def say_json(value: Any, line: bool = False) -> None:
    """The value as JSON, on one line when piped or asked for, safe for a terminal."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=2 if on_terminal() and not line else None)
    click.echo("".join(char if _harmless(char) else _escape(char) for char in text))


def _harmless(char: str) -> bool:
    return char == "\n" or char.isprintable()


def _escape(char: str) -> str:
    return json.dumps(char)[1:-1]


def plain(value: Any) -> Any:
    """A value of the client as JSON has it."""
    if isinstance(value, Hits):
        return [
            {**plain(hit.memory), "score": hit.score, **({"why": plain(hit.why)} if hit.why else {})} for hit in value
        ]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value


def table(rows: Sequence[Sequence[str]], colors: Sequence[str | None] = (), head: Sequence[str] = ()) -> None:
    """Rows in aligned columns; on a terminal the widest give way until all fit."""
    if not rows:
        return
    titled = bool(head) and on_terminal()
    shown = [head, *rows] if titled else rows
    widths = _fitting([max(width(row[i]) for row in shown) for i in range(len(shown[0]))], columns())
    for number, row in enumerate(shown):
        cells = [pad(cut(cell, widths[i]), widths[i]) for i, cell in enumerate(row)]
        say("  ".join(_cell(cell, i, colors, titled and number == 0) for i, cell in enumerate(cells)).rstrip())


def _fitting(widths: list[int], limit: int) -> list[int]:
    """Column widths, two cells apart, that fit a line; the widest is narrowed first."""
    over = sum(widths) + 2 * (len(widths) - 1) - limit
    for _ in range(max(over, 0)):
        widest = widths.index(max(widths))
        widths[widest] = max(widths[widest] - 1, 1)
    return widths


def _cell(cell: str, column: int, colors: Sequence[str | None], title: bool) -> str:
    if title:
        return paint(cell, dim=True)
    color = colors[column] if column < len(colors) else None
    return paint(cell, color) if color else cell


def moment(at: datetime) -> str:
    """A time in this place's clock."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def amount(number: int, one: str, many: str | None = None) -> str:
    """ "1 memory", "1,204 memories"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"


def home(path: str) -> str:
    """A path with the home folder as "~"."""
    at = os.path.expanduser("~")
    return "~" + path[len(at) :] if path == at or path.startswith(at + os.sep) else path

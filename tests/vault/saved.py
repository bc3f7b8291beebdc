"""Files and their versions, in few words, and what a save makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from hiveminddb.vault.choosing import Base, Entry, render
from hiveminddb.vault.reconcile import plan
from tests.vault.applied import applied


def entries_of(texts: Sequence[str]) -> list[Entry]:
    return [Entry(f"d{i}", text, is_head=i == 0 and not text.startswith("## ")) for i, text in enumerate(texts)]


def entry(day: int, body: str) -> str:
    return f"## 2024-01-{day:02} 10:00:00 UTC\n\n{body}\n\n"


def file_of(*days: int, body: str = "some words about this day") -> list[Entry]:
    """A file with one entry for each of these days of January."""
    return [Entry("head", "# t\n\n", True), *(Entry(f"day{day}", entry(day, f"{body}, {day}")) for day in days)]


def after(present: Sequence[Entry], bases: Sequence[Base], text: str, *, unread: bool = False) -> str:
    """What the file says once the plan is carried out."""
    return render(applied(plan(present, bases, text, unread=unread), present, bases))


def history(*versions: tuple[str, list[Entry]]) -> list[Base]:
    """Bases, given oldest first."""
    made = [Base(n, "mirror" if by == "mirror" else "disk", entries) for n, (by, entries) in enumerate(versions)]
    return made[::-1]

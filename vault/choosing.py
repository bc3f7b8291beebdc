"""Which of a file's recent texts a person's save was made from. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hiveminddb.vault import markdown
from hiveminddb.vault.difference import distance, keeps_old_site

NO_BASE = -1
_HEADING = re.compile(r"[^\n]*\n?")
_WORDS = re.compile(r"[^\n]+\s+\S[^\n]{0,15}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A document's text as it stands in a file."""

    document: str
    text: str
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Base:
    """A recent text of a file, as of local change `n`: written by the mirror, or read from disk after a save.

    One that is "late" was never in the file, but its writer may go on with it.
    """

    n: int
    by: Literal["mirror", "disk", "late"]
    entries: Sequence[Entry]


def render(entries: Iterable[Entry]) -> str:
    """The text of a file: its entries one after the other, each beginning on a line of its own."""
    return "".join(lines_of(entries))


def choose(bases: Sequence[Base], text: str, *, unread: bool = False) -> int:
    """The index of the base the new text was made from; -1 without bases."""
    if not bases:
        return NO_BASE
    newest = render(bases[0].entries)
    if text == newest:
        return 0
    older = {i: render(bases[i].entries) for i in range(1, len(bases))}
    equal = next((i for i, known in older.items() if known == text and bases[i].by != "late"), 0)
    if equal:
        # Exactly an older text: somebody went back to it on purpose, unless they cannot have seen the newer one.
        return equal if unread else 0
    fitting = {i: older[i] for i in _stale(bases, text)}
    if unread and bases[0].by == "mirror" and fitting and not text.startswith(newest):
        return min(fitting, key=lambda i: (distance(fitting[i], text), i))
    # A text that lacks whole entries is stale; one that only lacks words may be its author's answer to those words.
    fitting = {
        i: known
        for i, known in fitting.items()
        if _adds_entries(bases[i], bases[0])
        or _keeps_old(bases[i], bases[0], text)
        or keeps_old_site(known, newest, text)
    }
    return min({0: newest, **fitting}.items(), key=lambda item: (distance(item[1], text), item[0]))[0]


def _stale(bases: Sequence[Base], text: str) -> list[int]:
    """Older bases an editor may still hold: something foreign came right after, and the text shows nothing of it."""
    newer: defaultdict[str, set[str]] = defaultdict(set)
    pieces = set(markdown.pieces(text))
    fitting, following = [], bases[0]
    for i in range(1, len(bases)):
        for entry in bases[i - 1].entries:
            newer[entry.document].add(entry.text)
        is_late = bases[i].by == "late"
        if (is_late or _foreign(bases[i], following)) and not _shows(text, pieces, newer, bases[i].entries):
            fitting.append(i)
        following = following if is_late else bases[i]
    return fitting


def _shows(text: str, pieces: Collection[str], newer: Mapping[str, set[str]], older: Sequence[Entry]) -> bool:
    """True if the text has an entry as only the newer ones have it, or the beginning of one that only they have."""
    known = {entry.document: entry.text for entry in older}
    if any(it in pieces for document in newer.keys() & known.keys() for it in newer[document] - {known[document]}):
        return True
    added = newer.keys() - known.keys()
    beginnings = {_beginning(it) for document in added for it in newer[document]} - {""}
    return any(it in text and not any(entry.text.startswith(it) for entry in older) for it in beginnings)


def _keeps_old(older: Base, newer: Base, text: str) -> bool:
    """True if the text has an entry that is not there any more, or not as it was."""
    texts = {entry.document: {entry.text} for entry in older.entries}
    return _shows(text, set(markdown.pieces(text)), texts, newer.entries)


def _beginning(text: str) -> str:
    """A dated heading; one that a program wrote with the first words below it, as others write in the same second."""
    found = (_WORDS if markdown.BY_SERVER.match(text) else _HEADING).match(text)
    return found[0] if found and markdown.heading_time(text) else ""


def _foreign(older: Base, newer: Base) -> bool:
    """True if the step between two texts was not a person's save: the mirror made it, or it only appended entries."""
    if newer.by == "mirror":
        return True
    if not older.entries:
        # A file that was emptied and filled again: nobody still holds nothing.
        return False
    added = newer.entries[len(older.entries) :]
    same = tuple(newer.entries[: len(older.entries)]) == tuple(older.entries)
    return same and bool(added) and all(markdown.heading_time(entry.text) is not None for entry in added)


def _adds_entries(older: Base, newer: Base) -> bool:
    known = {entry.document for entry in older.entries}
    return any(entry.document not in known and markdown.heading_time(entry.text) for entry in newer.entries)


def lines_of(entries: Iterable[Entry]) -> list[str]:
    """The texts of entries as they stand in the file."""
    lines: list[str] = []
    last = -1
    for entry in entries:
        if entry.text and last >= 0 and not lines[last].endswith("\n"):
            # A merge can leave an entry without its last line feed; the next heading must stay a heading.
            lines[last] += "\n"
        if entry.text:
            last = len(lines)
        lines.append(entry.text)
    return lines

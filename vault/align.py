"""Which stretch of a file's new text is which entry of its old one. Pure.

Entries are compared in pieces: a piece begins at every line that looks like a dated heading, code fence or not. That
way the borders of known entries hold whatever the text around them does: a code fence opened in one entry and not
closed yet does not swallow the entries below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hiveminddb.vault import markdown
from hiveminddb.vault.ends import common_prefix, common_suffix, middles
from hiveminddb.vault.matching import Matching


class Slot(NamedTuple):
    """A stretch of the new text, and the index of the old entry it belongs to; None for a new entry."""

    entry: int | None
    text: str


class _Unit(NamedTuple):
    """Old entries that stand together: the first begins the file or with a dated heading, the others do not."""

    entries: tuple[int, ...]
    text: str


class _Piece(NamedTuple):
    text: str
    unit: int
    part: int


def align(base: Sequence[str], text: str) -> list[Slot]:
    """The new text as slots, whose texts joined are the new text; each old entry is used at most once."""
    units = _units(base)
    whole = "".join(base)
    front = _same_front(units, whole, text)
    start = sum(len(unit.text) for unit in units[:front])
    back = _same_back(units[front:], whole, text, start)
    end = sum(len(unit.text) for unit in units[len(units) - back :])
    gap = text[start : len(text) - end]
    kept_front = [Slot(i, base[i]) for unit in units[:front] for i in unit.entries]
    kept_back = [Slot(i, base[i]) for unit in units[len(units) - back :] for i in unit.entries]
    middle = _middle(
        units[front : len(units) - back], gap, base, front_matter=0 if start else markdown.front_matter_end(text)
    )
    return [*kept_front, *middle, *kept_back]


def _units(base: Sequence[str]) -> list[_Unit]:
    grouped: list[list[int]] = []
    for i, text in enumerate(base):
        if text and (not grouped or markdown.heading_time(text) is not None):
            grouped.append([i])
        elif text:
            grouped[-1].append(i)
    return [_Unit(tuple(group), "".join(base[i] for i in group)) for group in grouped]


def _same_front(units: Sequence[_Unit], whole: str, text: str) -> int:
    """How many units the new text still begins with, each ending where the next entry begins."""
    shared = common_prefix(whole, text)
    ends = [0]
    for unit in units:
        if ends[-1] + len(unit.text) > shared:
            break
        ends.append(ends[-1] + len(unit.text))
    while len(ends) > 1 and not _border(text, ends[-1]):
        ends.pop()
    return len(ends) - 1


def _same_back(units: Sequence[_Unit], whole: str, text: str, start: int) -> int:
    shared = common_suffix(whole, text, min(len(whole), len(text)) - start)
    length = count = best = 0
    for unit in reversed(units):
        length += len(unit.text)
        if length > shared:
            break
        count += 1
        if length == len(text) or (text[len(text) - length - 1] == "\n" and markdown.heading_time(unit.text)):
            best = count
    return best


def _border(text: str, at: int) -> bool:
    return at == len(text) or (text[at - 1] == "\n" and markdown.heading_time(text, at) is not None)


def _middle(units: Sequence[_Unit], gap: str, base: Sequence[str], front_matter: int) -> list[Slot]:
    """Slots of the part of the file that changed."""
    if not gap:
        return []
    cuts = [
        markdown.pieces(unit.text, markdown.front_matter_end(unit.text) if n == 0 else 0)
        for n, unit in enumerate(units)
    ]
    old = [_Piece(text, n, part) for n, cut in enumerate(cuts) for part, text in enumerate(cut)]
    new = markdown.pieces(gap, front_matter)
    pairs = Matching([piece.text for piece in old], new).pairs
    found = [old[pairs[n]] if n in pairs else None for n in range(len(new))]
    drafts = _Drafts(units, cuts)
    for text, piece in zip(new, found, strict=True):
        drafts.add(text, piece)
    return [slot for unit, text in drafts.finished() for slot in _shared_out(unit, text, base)]


class _Drafts:
    """Slots as they grow piece by piece."""

    def __init__(self, units: Sequence[_Unit], cuts: Sequence[Sequence[str]]) -> None:
        self._units, self._cuts = units, cuts
        self._drafts: list[tuple[int | None, list[str]]] = []
        self._placed: set[int] = set()
        self._fence = ""

    def add(self, text: str, found: _Piece | None) -> None:
        """Put a piece where it belongs: in the open slot, or in a new one."""
        if not self._drafts:
            self._open(found.unit if found else None)
        elif found is None:
            if not self._fence:
                self._open(None)
        elif found.part == 0:
            self._open(found.unit)
        elif found.unit != self._drafts[-1][0]:
            if not self._fence:
                self._open(found.unit)
        elif self._was_fenced(found) and not self._fence:
            self._open(None)
        self._drafts[-1][1].append(text)
        self._fence = "" if self._has_ended(found) else markdown.fence_after(text, self._fence)

    def finished(self) -> Iterator[tuple[_Unit | None, str]]:
        for unit, texts in self._drafts:
            yield None if unit is None else self._units[unit], "".join(texts)

    def _open(self, unit: int | None) -> None:
        if unit in self._placed:
            unit = None
        elif unit is not None:
            self._placed.add(unit)
        self._drafts.append((unit, []))
        self._fence = ""

    def _has_ended(self, piece: _Piece | None) -> bool:
        """An entry ends where it ended before, even with a code fence open, if it did not change or had one before."""
        unit, texts = self._drafts[-1]
        if unit is None:
            return False
        is_last = piece is not None and (piece.unit, piece.part) == (unit, len(self._cuts[unit]) - 1)
        return texts == self._cuts[unit] or (is_last and bool(markdown.fence_after(self._units[unit].text)))

    def _was_fenced(self, piece: _Piece) -> bool:
        return bool(markdown.fence_after("".join(self._cuts[piece.unit][: piece.part])))


def _shared_out(unit: _Unit | None, text: str, base: Sequence[str]) -> list[Slot]:
    """The text of a unit's slot shared out among its entries."""
    if unit is None or len(unit.entries) == 1:
        return [Slot(unit.entries[0] if unit else None, text)]
    start, end = middles(unit.text, text)
    cuts, was, last = [0], 0, 0
    for here, following in zip(unit.entries, unit.entries[1:], strict=False):
        was += len(base[here])
        moved = _moved(was, unit.text, text, start, end, base[following])
        # An entry always begins on a line of its own.
        last = max(last, text.rfind("\n", 0, moved) + 1)
        cuts.append(last)
    parts = zip(unit.entries, cuts, [*cuts[1:], len(text)], strict=True)
    return [Slot(i, text[a:b]) for i, a, b in parts if a < b]


def _moved(was: int, old: str, new: str, start: int, end: int, following: str) -> int:
    """Where a border of the old text is in the new one; in a changed stretch, where the next entry's first line is."""
    if was <= start:
        return was
    if was >= len(old) - end:
        return was + len(new) - len(old)
    found = new.find(following.split("\n", 1)[0], start, len(new) - end)
    return max(found, start)

"""What a person's save means for the documents of a file: which text they edited, and what they changed in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hiveminddb.vault import markdown
from hiveminddb.vault.align import Slot, align
from hiveminddb.vault.difference import distance, keeps_old_site, longest_rising

NO_BASE = -1
_FRONT, _BACK = "<", ">"
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


@dataclass(frozen=True, slots=True)
class Edit:
    """A document's new text, against its text in the plan's base."""

    document: str
    base_text: str
    new_text: str
    is_head: bool


@dataclass(frozen=True, slots=True)
class Create:
    """A new entry; `revives` names the document that had exactly this text and is not in the file any more."""

    text: str
    heading: datetime | None
    is_head: bool
    revives: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do so that the documents say what the file says, and what others wrote meanwhile stays.

    `base` is the index of the chosen base, -1 when there was none. `absent` are edited documents that are not in the
    present any more. `adopted` are documents of the present that the base had not and the file has, as they are.
    `order` is the file when all is done: documents, and creates by index; `moves` are those of its
    documents that need a new place between their neighbours, as every create does.
    """

    base: int
    creates: tuple[Create, ...] = ()
    edits: tuple[Edit, ...] = ()
    deletes: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    order: tuple[str | int, ...] = ()
    moves: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """True if the documents already say what the file says."""
        return not (self.creates or self.edits or self.deletes or self.moves)


def render(entries: Iterable[Entry]) -> str:
    """The text of a file: its entries one after the other, each beginning on a line of its own."""
    return "".join(_lines(entries))


def plan(present: Sequence[Entry], bases: Sequence[Base], text: str, *, unread: bool = False) -> Plan:
    """The meaning of a file's new text, given its recent texts, newest first, and what it should be now.

    `unread` says that nobody can have read the file since the mirror last wrote it.
    """
    chosen = choose(bases, text, unread=unread)
    base = bases[chosen].entries if bases else ()
    lines = _lines(base)
    slots = align(lines, _unglued(lines, text))
    return _Planner(present, bases, base, lines).plan(chosen, slots)


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
    newer: dict[str, Entry] = {}
    fitting, following = [], bases[0]
    for i in range(1, len(bases)):
        newer |= {entry.document: entry for entry in bases[i - 1].entries}
        is_late = bases[i].by == "late"
        if (is_late or _foreign(bases[i], following)) and not _shows(text, newer, bases[i].entries):
            fitting.append(i)
        following = following if is_late else bases[i]
    return fitting


def _shows(text: str, newer: Mapping[str, Entry], older: Sequence[Entry]) -> bool:
    """True if the text has the beginning of a dated entry that is among the newer ones only."""
    added = newer.keys() - {entry.document for entry in older}
    beginnings = {_beginning(newer[document].text) for document in added} - {""}
    return any(it in text and not any(entry.text.startswith(it) for entry in older) for it in beginnings)


def _keeps_old(older: Base, newer: Base, text: str) -> bool:
    """True if the text has the beginning of an entry that is not there any more."""
    return _shows(text, {entry.document: entry for entry in older.entries}, newer.entries)


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


def _lines(entries: Iterable[Entry]) -> list[str]:
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


def _unglued(lines: Sequence[str], text: str) -> str:
    """The new text with a line feed where somebody appended an entry to a last line that had none."""
    known = next((line for line in reversed(lines) if line), "\n")
    last = known[known.rfind("\n") + 1 :]
    at = text.rfind(last + "##") if last else -1
    if at < 0 or (at and text[at - 1] != "\n") or markdown.heading_time(text, at + len(last)) is None:
        return text
    return text[: at + len(last)] + "\n" + text[at + len(last) :]


class _Planner:
    def __init__(
        self, present: Sequence[Entry], bases: Sequence[Base], base: Sequence[Entry], lines: Sequence[str]
    ) -> None:
        self._present = present
        self._living = {entry.document for entry in present}
        self._base, self._lines = base, lines
        in_base = {entry.document for entry in base}
        self._unseen = _by_text(e for e in present if e.document not in in_base)
        known = in_base | self._living
        gone = (entry for older in bases for entry in older.entries if entry.document not in known)
        self._gone = _by_text(gone)
        self._creates: list[Create] = []
        self._edits: list[Edit] = []
        self._adopted: list[str] = []

    def plan(self, chosen: int, slots: Sequence[Slot]) -> Plan:
        """The plan that makes the documents say what the slots say."""
        seen = {slot.entry for slot in slots}
        same = [slot.text for slot in slots] == [line for line in self._lines if line]
        # A file that was emptied may keep a blank line: that is no entry.
        whole = same or any(slot.text.strip(markdown.BLANK) for slot in slots)
        placed: list[str | int] = []
        is_head = True
        for n, slot in enumerate(slots if whole else ()):
            is_head = is_head and markdown.heading_time(slot.text) is None
            placed += self._place(slot, is_head, is_last=n == len(slots) - 1)
        gone = [e.document for i, e in enumerate(self._base) if not whole or (i not in seen and self._lines[i])]
        order, moves = self._order(placed, set(gone))
        return Plan(
            base=chosen,
            creates=tuple(self._creates),
            edits=tuple(self._edits),
            deletes=tuple(document for document in gone if document in self._living),
            absent=tuple(e.document for e in self._edits if e.document not in self._living),
            adopted=tuple(self._adopted),
            order=order,
            moves=moves,
        )

    def _place(self, slot: Slot, is_head: bool, is_last: bool) -> list[str | int]:
        """What stands at a slot: its document, a create, or nothing to place."""
        if slot.entry is None:
            return self._create(slot.text, is_head)
        entry = self._base[slot.entry]
        implied = entry.text + "\n" if not is_last and not entry.text.endswith("\n") else entry.text
        same = slot.text in (entry.text, implied)
        if not same:
            self._edits.append(Edit(entry.document, entry.text, slot.text, is_head))
        return [] if same and entry.document not in self._living else [entry.document]

    def _create(self, text: str, is_head: bool) -> list[str | int]:
        if adopted := self._unseen.pop(text, None):
            self._adopted.append(adopted)
            return []
        heading = markdown.heading_time(text)
        self._creates.append(Create(text, heading, is_head, self._gone.pop(text, None)))
        return [len(self._creates) - 1]

    def _order(self, placed: Sequence[str | int], gone: set[str]) -> tuple[tuple[str | int, ...], tuple[str, ...]]:
        """The present with creates and moved documents put behind the neighbour they have in the file."""
        at = {entry.document: i for i, entry in enumerate(self._base)}
        kept = [at[item] for item in placed if isinstance(item, str) and item in self._living]
        fixed = {self._base[i].document for i in longest_rising(kept)}
        moves = tuple(item for item in placed if isinstance(item, str) and item not in fixed)
        leaving = gone.union(moves)
        staying = [entry for entry in self._present if entry.document not in leaving]
        demoted = {edit.document for edit in self._edits if not edit.is_head}
        heads = [item for item in placed if isinstance(item, int) and self._creates[item].is_head]
        behind = _behind([item for item in placed if item not in heads], fixed)
        front = [e.document for e in staying if e.is_head and e.document not in demoted]
        order: list[str | int] = [*front, *heads, *behind.pop(_FRONT, ())]
        for document in (e.document for e in staying):
            order += [*([] if document in front else [document]), *behind.pop(document, ())]
        return (*order, *behind.pop(_BACK, ())), moves


def _behind(placed: Sequence[str | int], fixed: set[str]) -> dict[str, list[str | int]]:
    """What has to go behind each document that keeps its place, at the front, or at the very end."""
    behind: dict[str, list[str | int]] = {}
    neighbour = _FRONT
    for item in placed:
        if isinstance(item, str) and item in fixed:
            neighbour = item
        else:
            behind.setdefault(neighbour, []).append(item)
    # What was put at the end of the file follows what others put there meanwhile.
    behind[_BACK] = behind.pop(neighbour, [])
    return behind


def _by_text(entries: Iterable[Entry]) -> dict[str, str]:
    """Documents by text; the first of several."""
    found: dict[str, str] = {}
    for entry in entries:
        found.setdefault(entry.text, entry.document)
    return found

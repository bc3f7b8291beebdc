"""What a person's save means for the documents of a file: which text they edited, and what they changed in it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from hiveminddb.vault import markdown
from hiveminddb.vault.align import Slot, align
from hiveminddb.vault.choosing import MEANT, NO_BASE, Base, Entry, choose, lines_of, was_removed
from hiveminddb.vault.difference import distance, is_between
from hiveminddb.vault.likeness import kept
from hiveminddb.vault.matching import longest_rising

# Instead of a base, where an edit is one of what a document says now.
PRESENT = -2

_FRONT, _BACK = "<", ">"


@dataclass(frozen=True, slots=True)
class Edit:
    """A document's new text, against its text in a base: the plan's, or a newer one of which the save has all.

    `base` is its index, or PRESENT.
    """

    document: str
    base_text: str
    new_text: str
    is_head: bool
    base: int


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

    `base` is the index of the chosen base, -1 when there was none. `gone` are documents that the file lacks and that
    had left it already; something else in the place of such a one is no edit of it. `adopted` are documents of the
    present that the base had not and the file has, as they are.
    `order` is the file when all is done: documents, and creates by index; `moves` are those of its
    documents that need a new place between their neighbours, as every create does.
    """

    base: int
    creates: tuple[Create, ...] = ()
    edits: tuple[Edit, ...] = ()
    deletes: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    order: tuple[str | int, ...] = ()
    moves: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """True if the documents already say what the file says."""
        return not (self.creates or self.edits or self.deletes or self.moves)


def plan(
    present: Sequence[Entry], bases: Sequence[Base], text: str, *, unread: bool = False, hasty: bool = False
) -> Plan:
    """The meaning of a file's new text, given its recent texts, newest first, and what it should be now.

    `unread` says that nobody can have read the file since the mirror last wrote it, `hasty` that it was saved so soon
    after that that nobody has thought about it.
    """
    for known in bases:
        text = _unglued(known.entries, text)
    chosen = choose(bases, text, unread=unread, hasty=hasty)
    return _Planner(present, bases, chosen).plan(text)


def _unglued(entries: Sequence[Entry], text: str) -> str:
    """The new text with a line feed where somebody appended an entry to a last line that had none."""
    lines = [entry.text for entry in entries]
    known = next((line for line in reversed(lines) if line), "\n")
    last = known[known.rfind("\n") + 1 :]
    at = text.rfind(last + "##") if last else -1
    if at < 0 or (at and text[at - 1] != "\n") or markdown.heading_time(text, at + len(last)) is None:
        return text
    return text[: at + len(last)] + "\n" + text[at + len(last) :]


class _Planner:
    def __init__(self, present: Sequence[Entry], bases: Sequence[Base], chosen: int) -> None:
        self._present = present
        self._living = {entry.document for entry in present}
        self._chosen = chosen
        self._base = bases[chosen].entries if chosen != NO_BASE else ()
        self._lines = lines_of(self._base)
        self._newer = bases[: max(chosen, 0)]
        # The file was removed since it said what the base says, and is there again.
        self._is_back = was_removed(self._newer)
        in_base = {entry.document for entry in self._base}
        self._unseen = _by_text(e for e in present if e.document not in in_base)
        known = self._living if self._is_back else in_base | self._living
        gone = (entry for older in bases for entry in older.entries if entry.document not in known)
        self._gone = _by_text(gone)
        self._creates: list[Create] = []
        self._edits: list[Edit] = []
        self._adopted: list[str] = []
        self._left: set[int] = set()

    def plan(self, text: str) -> Plan:
        """The plan that makes the documents say what the text says."""
        slots = align(self._lines, text)
        seen = {slot.entry for slot in slots}
        same = [slot.text for slot in slots] == [line for line in self._lines if line]
        # A file that was emptied may keep a blank line: that is no entry.
        whole = same or any(slot.text.strip(markdown.BLANK) for slot in slots)
        placed: list[str | int] = []
        is_head = True
        for n, slot in enumerate(slots if whole else ()):
            is_head = is_head and markdown.heading_time(slot.text) is None
            placed += self._place(slot, is_head, is_last=n == len(slots) - 1)
        seen -= self._left
        gone = [e.document for i, e in enumerate(self._base) if not whole or (i not in seen and self._lines[i])]
        order, moves = self._order(placed, set(gone))
        return Plan(
            base=self._chosen,
            creates=tuple(self._creates),
            edits=tuple(self._edits),
            deletes=tuple(document for document in gone if document in self._living),
            adopted=tuple(self._adopted),
            gone=tuple(document for document in gone if document not in self._living),
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
        is_gone = entry.document not in self._living
        if is_gone and (self._is_back if same else kept(entry.text, slot.text) < MEANT):
            # It comes back; or it was moved or taken away by others, and this is something else in its place.
            self._left.add(slot.entry)
            return self._create(slot.text, is_head)
        if not same:
            base, seen = self._seen(entry, slot.text)
            self._edits.append(Edit(entry.document, seen, slot.text, is_head, base))
        return [] if same and is_gone else [entry.document]

    def _seen(self, entry: Entry, text: str) -> tuple[int, str]:
        """The base whose text of an entry was edited, and that text: a newer one whose every change the save has.

        Its author may have seen it and taken out all else that was new, or have made the same change: once is enough.
        """
        versions = self._versions.get(entry.document, {})
        led = [(i, it) for it, i in versions.items() if it != entry.text and is_between(entry.text, it, text)]
        return min(led, key=lambda it: (distance(it[1], text), it[0]), default=(self._chosen, entry.text))

    @cached_property
    def _versions(self) -> Mapping[str, Mapping[str, int]]:
        """What each document says now and said in texts newer than the base, each with where: the newest place."""
        found = defaultdict[str, dict[str, int]](dict)
        for i, entries in ((PRESENT, self._present), *enumerate(base.entries for base in self._newer)):
            for entry in entries:
                found[entry.document].setdefault(entry.text, i)
        return found

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
        # What others have edited meanwhile outlives that the file lacks it.
        seen = {entry.document: entry.text for entry in self._base}
        outliving = {e.document for e in self._present if e.text != seen.get(e.document)}
        leaving = (gone - outliving).union(moves)
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

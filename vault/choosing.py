"""Which of a file's recent texts a person's save was made from. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hiveminddb.vault import markdown
from hiveminddb.vault.difference import distance
from hiveminddb.vault.ends import addition, changed
from hiveminddb.vault.evidence import keeps_old_site, lacks_lines, new_words, put_in_other_words, shares_lines
from hiveminddb.vault.likeness import kept, similarity

NO_BASE = -1
# From this on an entry is taken for an edited one of the same heading.
ALIKE = 0.5
BEGINNING = 16
# From this on a line alone tells that its author has read it, be it only a part of what came with it.
LINE = 24
# Fewer characters than this are no word that tells who wrote it.
RARE = 4
# Nobody takes out at once so many entries that came together, all but this share, and leaves as many older ones alone.
MANY = 8
FEW = 0.25
# So much of a text that was taken out of the folder must be in a new file for it to be an edit of that text.
MEANT = 0.5


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


def begins_alone(text: str, is_head: bool = False) -> bool:
    """Whether an entry says enough that two people would not begin one in the same words."""
    start, end = markdown.body(text, is_head)
    return end - start >= BEGINNING


def render(entries: Iterable[Entry]) -> str:
    """The text of a file: its entries one after the other, each beginning on a line of its own."""
    return "".join(lines_of(entries))


def choose(bases: Sequence[Base], text: str, *, unread: bool = False, hasty: bool = False) -> int:
    """The index of the base the new text was made from; -1 where it was made from none of them.

    `unread`: nobody can have read the newest; `hasty`: the text came so soon after it that nobody has thought about it.
    """
    if not bases:
        return NO_BASE
    if not text.strip(markdown.BLANK):
        # An emptied file was emptied of all that was in it.
        return 0
    newest = render(bases[0].entries)
    if text == newest:
        return 0
    older = {i: render(bases[i].entries) for i in range(1, len(bases))}
    equal = next((i for i, known in older.items() if known == text and bases[i].by != "late"), 0)
    if equal:
        # Exactly an older text: somebody went back to it on purpose, unless they cannot have seen the newer one.
        return equal if unread or was_removed(bases[:equal]) else 0
    fitting = {i: older[i] for i in _stale(bases, text)}
    if unread and bases[0].by == "mirror" and not text.startswith(newest):
        if fitting:
            return _closest(fitting, text)
        if not has_of(newest, text):
            # Another file: the mirror used a name that was free while somebody was saving under it.
            return NO_BASE
    # A text that has nothing of an older one, as after an exchange of names, shows by what it lacks that it is another.
    fitting = {i: known for i, known in fitting.items() if has_of(known, text)}
    # A text that lacks whole entries or lines is stale, and so is one with other words put into the same line; one that
    # only lacks words may be its author's answer to those.
    unseen = {
        i for i, known in fitting.items() if lacks_lines(known, newest, text) or put_in_other_words(known, newest, text)
    }
    fitting = {
        i: known
        for i, known in fitting.items()
        if i in unseen
        or _adds_entries(bases[i], bases[0])
        or _keeps_old(bases[i], bases[0], text)
        or keeps_old_site(known, newest, text)
    }
    if _was_taken_away(bases[0]) and kept(next(filter(None, older.values()), ""), text) < MEANT:
        return 0
    # Letters that lines happen to share must not outweigh that others' lines are not there.
    possible = fitting if unseen else {0: newest, **fitting}
    closest = _closest(possible, text)
    without = _mostly_without(bases, text) if hasty and not closest else []
    return _closest({i: older[i] for i in without}, text) if without else closest


def _closest(known: Mapping[int, str], text: str) -> int:
    return min(known, key=lambda i: (distance(known[i], text), i))


class Shown:
    """What a text shows of entries: those it has as they are, and those it has edited."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = f" {' '.join(text.split())} "
        self.pieces = set(markdown.pieces(text))
        self.lines = set(text.splitlines())
        self._headed: defaultdict[str, list[str]] = defaultdict(list)
        for piece in self.pieces:
            if markdown.heading_time(piece):
                self._headed[_first_line(piece)].append(piece)

    def has(self, entry: str, others: Iterable[str]) -> bool:
        """True if the text has a dated part of this entry, edited or not, that is none of the others' there."""
        parts = ((part, self._headed.get(_first_line(part))) for part in markdown.pieces(entry))
        return any(self._has(part, found, others) for part, found in parts if found)

    def _has(self, part: str, found: Sequence[str], others: Iterable[str]) -> bool:
        heading = _first_line(part)
        rivals = [
            it for other in others if heading in other for it in markdown.pieces(other) if _first_line(it) == heading
        ]
        if rivals and not markdown.BY_SERVER.match(part):
            return False
        # Programs write many entries in one second, and people on two machines may begin entries of one day.
        return any(piece == part or _is_closest(piece, part, rivals) for piece in found if piece not in rivals)


def _is_closest(piece: str, entry: str, rivals: Sequence[str]) -> bool:
    """True if a piece has a line of an entry, begins like it, or is like it on the whole, and like no other as much."""
    if not rivals and shares_lines(_below(entry), _below(piece)):
        return True
    begins = _below(entry)[:BEGINNING]
    if begins and _below(piece).startswith(begins) and not any(_below(it).startswith(begins) for it in rivals):
        return True
    alike = similarity(_below(piece), _below(entry))
    return alike >= ALIKE and all(similarity(_below(piece), _below(it)) < alike for it in rivals)


def _first_line(entry: str) -> str:
    return entry.partition("\n")[0]


def _below(entry: str) -> str:
    return entry.partition("\n")[2].lstrip()


def _stale(bases: Sequence[Base], text: str) -> list[int]:
    """Older bases an editor may still hold: something foreign came right after, and the text shows nothing of it."""
    newer: defaultdict[str, set[str]] = defaultdict(set)
    shown = Shown(text)
    fitting, following = [], bases[0]
    for i in range(1, len(bases)):
        for entry in bases[i - 1].entries:
            newer[entry.document].add(entry.text)
        is_late = bases[i].by == "late"
        if (is_late or _foreign(bases[i], following)) and not _shows(shown, newer, bases[i].entries):
            fitting.append(i)
        following = following if is_late else bases[i]
    return fitting


def _shows(shown: Shown, newer: Mapping[str, set[str]], older: Sequence[Entry]) -> bool:
    """True if the text has an entry as only the newer ones have it, or one, edited or not, that only they have."""
    known = {entry.document: entry.text for entry in older}
    both = newer.keys() & known.keys()
    rewritten = [(known[document], it) for document in both for it in newer[document] - {known[document]}]
    if any(_is_news(addition(old, it), shown.text, known) for old, it in rewritten):
        return True
    added = {it for document in newer.keys() - known.keys() for it in newer[document]}
    # Programs may append the same line under different dates.
    undated = (it for it in added if not markdown.heading_time(it))
    lines = {line for it in (*undated, *(addition(*both) for both in rewritten)) for line in it.splitlines()}
    if any(len(line) >= LINE and _is_news(line, shown.text, known) for line in lines & shown.lines):
        return True
    same = [(old, it) for old, it in rewritten if _is_new(it, shown, known)]
    if len({old for old, _ in same}) > 1 or any(not _is_common(old, it, known) for old, it in same):
        return True
    if any(_are_news(new_words(old, it), shown.words, known) for old, it in rewritten):
        return True
    return any(shown.has(it, known.values()) for it in added if markdown.heading_time(it))


def _mostly_without(bases: Sequence[Base], text: str) -> list[int]:
    """Older texts of many entries, nearly all in the new one, after which others put in many of which it has few."""
    if bases[0].by != "mirror":
        return []
    pieces, found = set(markdown.pieces(text)), []
    for i in range(1, len(bases)):
        known = {entry.document for entry in bases[i].entries}
        came = [entry.text in pieces for entry in bases[0].entries if entry.document not in known]
        were = [entry.text in pieces for entry in bases[i].entries]
        if min(len(came), len(were)) >= MANY and sum(came) <= FEW * len(came) and sum(were) >= (1 - FEW) * len(were):
            found.append(i)
    return found


def _is_new(entry: str, shown: Shown, known: Mapping[str, str]) -> bool:
    """True for an entry that the text has as it is, unless it was a part of one that is known and was cut in two."""
    return entry in shown.pieces and not any(entry in it and entry in markdown.pieces(it) for it in known.values())


def _is_common(old: str, new: str, known: Mapping[str, str]) -> bool:
    """True for a small change that two people may make alike: a tick, a word struck out, one that is used already."""
    put = addition(old, new)
    return changed(old, new) < BEGINNING and (len(put) < RARE or any(put in it for it in known.values()))


def _is_news(passage: str, text: str, known: Mapping[str, str]) -> bool:
    """True for a passage in the text, too long to be typed twice, that is in none of the known entries."""
    return len(passage) >= BEGINNING and passage in text and not any(passage in it for it in known.values())


def _are_news(passages: Sequence[str], words: str, known: Mapping[str, str]) -> bool:
    """True for words that were put in at several places, and all are in the text at theirs: nobody types that twice."""
    if len(passages) < 2 or sum(map(len, passages)) < BEGINNING:
        return False
    before = [f" {' '.join(it.split())} " for it in known.values()]
    return all(f" {it} " in words and not any(f" {it} " in other for other in before) for it in passages)


def has_of(known: str, text: str) -> bool:
    """True if a text has a line of some length of another, or half of it: else it was not made from that."""
    return shares_lines(known, text) or kept(known, text) >= MEANT


def _keeps_old(older: Base, newer: Base, text: str) -> bool:
    """True if the text has an entry that is not there any more, or not as it was."""
    texts = {entry.document: {entry.text} for entry in older.entries}
    return _shows(Shown(text), texts, newer.entries)


def was_removed(bases: Iterable[Base]) -> bool:
    """True if the file was removed, or emptied, here: whoever saves an older text after that wants all that it says."""
    return any(base.by == "disk" and not base.entries for base in bases)


def _was_taken_away(newest: Base) -> bool:
    """True if others renamed or removed the file: a new one of that name need not be meant for what was in it."""
    return newest.by == "mirror" and not newest.entries


def _foreign(older: Base, newer: Base) -> bool:
    """True if the step between two texts was not a person's save: the mirror made it, or it only appended entries.

    After one that only took the file away its text may come back.
    """
    if newer.by == "mirror" or was_removed([newer]):
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
        if entry.text and last >= 0 and not lines[last].endswith("\n") and lines[last] != markdown.BOM:
            # A merge can leave an entry without its last line feed; the next heading must stay a heading.
            lines[last] += "\n"
        if entry.text:
            last = len(lines)
        lines.append(entry.text)
    return lines

"""Which vanished file is which new one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from hiveminddb.vault.likeness import has_most_lines, kept, similarity
from hiveminddb.vault.shortlist import fingerprints, shortlist

# Different files of one person share words; one that was renamed and edited between two looks shares most of its text.
ALIKE = 0.6
# Who goes on from a text has nearly all of it.
SURE = 0.9
# Of more files than this only the last text is compared: making the former ones again takes long.
FEW = 20
# Shorter texts may be in others by chance.
TELLING = 64


@dataclass(frozen=True)
class Seen:
    """A file as it was last known, or as it has just been found; inode 0 where that is not known."""

    topic: str
    inode: int
    digest: str
    text: str
    # Of a file as known, when that was; of one as found, when it came to be. 0 where nobody can say.
    known_ns: int = 0
    born_ns: int = 0
    # Whether the text may never have come to be in the file.
    is_doubtful: bool = False

    @cached_property
    def fingerprints(self) -> Set[int]:
        """What of the text tells it from others."""
        return fingerprints(self.text)


def renamed(
    replaced: Sequence[tuple[Seen, Seen]],
    gone: Sequence[Seen],
    new: Sequence[Seen],
    former: Callable[[str], Sequence[str]] = lambda topic: (),
) -> dict[str, str]:
    """Old topic to new topic, of files that are gone and of those whose names others have now, as in `moved_on`."""
    while True:
        moved, now = moved_on(replaced, gone, new), {old.topic: it for old, it in replaced}
        places = {it.topic: it for it in (*new, *(now[old.topic] for old in moved))}
        pairs = pair([*gone, *moved], list(places.values()), former)
        staying = {old.topic for old in moved} - pairs.keys()
        if not staying:
            return pairs
        # Another has the place that one was taken to have moved to: nobody may have its name as if it had left it.
        replaced = [it for it in replaced if it[0].topic not in staying]


def pair(
    gone: Sequence[Seen], new: Sequence[Seen], former: Callable[[str], Sequence[str]] = lambda topic: ()
) -> dict[str, str]:
    """Old topic to new topic: by inode, then by equal text, then by likeness; each file at most once.

    One of the gone may be there several times, as each of what it may last have been. `former` gives the texts that a
    file had before its last one: somebody may have saved over that, and not seen it.
    """
    pairs: dict[str, str] = {}

    def fits(old: Seen, found: Seen) -> bool:
        related = _related(old, found) or any(similarity(it, found.text) > ALIKE / 2 for it in former(old.topic))
        return related and _may_be(old, found)

    def text(file: Seen) -> Hashable:
        return file.digest if file.text.strip() else None

    _equal(pairs, gone, new, lambda file: (file.inode, file.digest) if file.inode else None)
    # What has no number of its own would be taken for others that have got its former one.
    _equal(pairs, [old for old in gone if not old.inode], new, text)
    _equal(pairs, gone, new, lambda file: file.inode or None, fits)
    _equal(pairs, gone, new, text)
    _most_alike(pairs, gone, new, former)
    return pairs


def moved_on(replaced: Sequence[tuple[Seen, Seen]], gone: Sequence[Seen], new: Sequence[Seen]) -> list[Seen]:
    """Files that have another name now while another file has theirs: a chain ends at a new name, or goes round.

    Each of `replaced` is a file as it was known and what has its name now. An editor that keeps the file as it was
    under another name, and writes what was made of it, has renamed nothing.
    """
    others = {old.inode: old for old in [*gone, *(old for old, _ in replaced)] if old.inode}
    unlike = {old.topic for old, now in replaced if _has_other_text(old, now)} if new else set[str]()
    waiting, places, found = list(replaced), list(new), list[Seen]()
    # Whoever has moved has left a name, and that may be where another is.
    while moved := _moved_to(waiting, places, others, unlike):
        waiting = [it for it in waiting if it not in moved]
        places = [now for _, now in moved]
        found += [old for old, _ in moved]
    return found + _in_circles(waiting, others)


def _in_circles(replaced: Sequence[tuple[Seen, Seen]], others: Mapping[int, Seen]) -> list[Seen]:
    """Those that have each other's names."""
    there = {now.inode: now for _, now in replaced}
    circles = [
        (old, now)
        for old, now in replaced
        if old.inode and (place := there.get(old.inode)) and _has_moved(old, now, place, others)
    ]
    while True:
        members, places = {old.inode for old, _ in circles}, {now.inode for _, now in circles}
        if members == places:
            return [old for old, _ in circles]
        circles = [(old, now) for old, now in circles if old.inode in places and now.inode in members]


def _moved_to(
    replaced: Sequence[tuple[Seen, Seen]], places: Sequence[Seen], others: Mapping[int, Seen], unlike: Set[str]
) -> list[tuple[Seen, Seen]]:
    """Those that are in one of these places: by inode, or, where their name has an unlike text now, by text."""
    numbered = {place.inode: place for place in places}
    by_number = [
        (old, now)
        for old, now in replaced
        if old.inode and (there := numbered.get(old.inode)) and _has_moved(old, now, there, others)
    ]
    by_text = [it for it in replaced if it not in by_number and it[0].topic in unlike]
    return by_number + _moved_by_text(by_text, places)


def _has_other_text(old: Seen, now: Seen) -> bool:
    """Whether a name has a quite different text now."""
    # Most have only been saved, which is seen at once where a text is compared with what was made of it.
    is_telling = len(old.text) >= TELLING and not has_most_lines(old.text, now.text)
    return is_telling and _likeness(old.text, now.text) <= ALIKE / 2


def _moved_by_text(others: Sequence[tuple[Seen, Seen]], places: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    """Files whose own text is in a place: saved since by replacing it."""
    if not others:
        # Of a folder that comes as a whole every file is a place.
        return []
    compared = shortlist([old.fingerprints for old, _ in others], [place.fingerprints for place in places])
    there = {i for i, j in compared if _score(others[i][0], places[j]) > ALIKE}
    return [it for i, it in enumerate(others) if i in there]


def _has_moved(old: Seen, now: Seen, there: Seen, others: Mapping[int, Seen]) -> bool:
    if not (_related(old, there) and _may_be(old, there)):
        return False
    other = others.get(now.inode)
    return (other is not None and _may_be(other, now)) or similarity(old.text, now.text) <= ALIKE


def _related(old: Seen, found: Seen) -> bool:
    return old.digest == found.digest or not old.text.strip() or similarity(old.text, found.text) > ALIKE / 2


def _equal(
    pairs: dict[str, str],
    gone: Sequence[Seen],
    new: Sequence[Seen],
    key: Callable[[Seen], Hashable],
    fits: Callable[[Seen, Seen], bool] = lambda old, found: True,
) -> None:
    taken = set(pairs.values())
    waiting: dict[Hashable, list[Seen]] = {}
    for found in new:
        if found.topic not in taken:
            waiting.setdefault(key(found), []).append(found)
    waiting.pop(None, None)
    for old in gone:
        candidates = waiting.get(key(old), []) if old.topic not in pairs else []
        # Of several copies the one that kept its name in another folder is the renamed one.
        best = min(candidates, key=lambda found: _name(found.topic) != _name(old.topic), default=None)
        if best and fits(old, best):
            candidates.remove(best)
            pairs[old.topic] = best.topic


def _most_alike(
    pairs: dict[str, str], gone: Sequence[Seen], new: Sequence[Seen], former: Callable[[str], Sequence[str]]
) -> None:
    taken = set(pairs.values())
    olds = [file for file in gone if file.topic not in pairs and file.text.strip()]
    news = [file for file in new if file.topic not in taken and file.text.strip()]
    if not olds or not news:
        return
    if len({file.topic for file in olds}) <= FEW:
        olds += [replace(old, text=text) for old in olds for text in former(old.topic) if text.strip()]
    scored = [
        (_score(olds[i], news[j]), olds[i].topic, news[j].topic)
        for i, j in shortlist([old.fingerprints for old in olds], [found.fingerprints for found in news])
    ]
    for score, old, found in sorted(scored, reverse=True):
        if score > ALIKE and old not in pairs and found not in taken:
            pairs[old] = found
            taken.add(found)


def _may_be(old: Seen, found: Seen) -> bool:
    """Whether a found file can be an old one by its age: inodes are used again, soonest by who replaces many files."""
    return not 0 < old.known_ns < found.born_ns


def are_alike(old: str, new: str) -> bool:
    """Whether a text may be an edit of an old one, by nothing but what both say."""
    return has_most_lines(old, new) or _likeness(old, new) > ALIKE


def _score(old: Seen, found: Seen) -> float:
    # What it lacks of a text that maybe nobody has ever seen would be taken away.
    if old.is_doubtful and kept(old.text, found.text) <= SURE:
        return 0.0
    return _likeness(old.text, found.text)


def _likeness(old: str, new: str) -> float:
    """0 to 1; a text of some length that a new one has whole is alike, however much was added to it."""
    alike = similarity(old, new)
    return alike if alike > ALIKE or len(old) < TELLING else max(alike, kept(old, new) - (1 - ALIKE) / 2)


def _name(topic: str) -> str:
    return topic.rpartition("/")[2]

"""How far two texts are apart, fast enough for files of ten megabytes. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from rapidfuzz.distance import Indel

from hiveminddb.vault.ends import common_prefix, common_suffix, middles
from hiveminddb.vault.likeness import EXACT_PRODUCT, similarity

# Words with words, in a few milliseconds.
WORDS_PRODUCT = 4_000_000
# Where as much was put in the place of as much, words of which more than this share of the letters differs are others.
PASSAGE = 32
UNLIKE = 0.25
# Below this two texts share no more than unrelated ones do.
ALIKE = 0.2
MAX_PAIRED = 400
_WORD = re.compile(r"\S+\s*|\s+")
_TOKEN = re.compile(r"\S+|\s+")
_ENTRY = re.compile(r"\n(?=\ufeff?##[ \t]+[0-9]{4}-[0-9]{2}-[0-9]{2})")


def distance(a: str, b: str) -> int:
    """Characters deleted plus characters inserted, entry by entry; for huge differences about so many.

    A passage in the place of an unlike one counts whole: unrelated words have letters in common, and in order.

    Entries of different dates have nothing in common, however alike their headings are: to lack one entry and have
    another is not a small change of the one into the other.
    """
    start, end = middles(a, b)
    touched = (_lines_touched(a, start, len(a) - end), _lines_touched(b, start, len(b) - end))
    is_edit = not any(_ENTRY.search("\n" + lines) for lines in touched)
    if is_edit and a[a.rfind("\n", 0, start) + 1 : start].strip():
        return _letters(a[start : len(a) - end], b[start : len(b) - end])
    start = a.rfind("\n##", 0, start) + 1
    begins = a.find("\n##", len(a) - end)
    end = len(a) - begins - 1 if begins >= 0 else 0
    olds, news = _by_heading(a[start : len(a) - end]), _by_heading(b[start : len(b) - end])
    return sum(_apart_of_one_heading(olds[key], news[key]) for key in olds.keys() | news.keys())


def is_between(old: str, middle: str, new: str) -> bool:
    """Whether a text leads from an old one to a new one: that has, word by word, all that it changed."""
    a, b, c = (_TOKEN.findall(text) for text in _apart_in_lines(old, middle, new))
    if max(len(a), len(c)) * max(len(b), len(c)) > WORDS_PRODUCT:
        return False
    return bool(Indel.distance(a, b) + Indel.distance(b, c) == Indel.distance(a, c))


def _apart_in_lines(*texts: str) -> list[str]:
    """The texts without the lines that all of them begin and end with."""
    lines = [text.splitlines(keepends=True) for text in texts]
    start = min(common_prefix(lines[0], it) for it in lines)
    end = min(common_suffix(lines[0], it, min(map(len, lines)) - start) for it in lines)
    return ["".join(it[start : len(it) - end]) for it in lines]


def apart(old: str, new: str) -> int:
    """Two texts under one heading: one that was edited or gone on with, or two entries of the same second."""
    goes_on = bool(old and new) and (new.startswith(old) or old.startswith(new))
    return _letters(old, new) if goes_on or similarity(_below(old), _below(new)) >= ALIKE else len(old) + len(new)


def _lines_touched(text: str, start: int, end: int) -> str:
    following = text.find("\n", end)
    return text[text.rfind("\n", 0, start) + 1 : following if following >= 0 else len(text)]


def _by_heading(text: str) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    first, *rest = _ENTRY.split("\n" + text)
    if first:
        found[""].append(first)
    for entry in rest:
        # The line feed before the next entry went with the cut; the last one still has its own.
        found[entry.partition("\n")[0]].append(entry.rstrip("\n"))
    return found


def _apart_of_one_heading(olds: Sequence[str], news: Sequence[str]) -> int:
    if olds == news:
        return 0
    old, new = list((Counter(olds) - Counter(news)).elements()), list((Counter(news) - Counter(olds)).elements())
    total = 0
    if 1 < len(old) * len(new) <= MAX_PAIRED:
        alike = ((similarity(_below(a), _below(b)), a, b) for a in old for b in new)
        for score, a, b in sorted(alike, reverse=True):
            if score >= ALIKE and a in old and b in new:
                total += _letters(a, b)
                old.remove(a)
                new.remove(b)
    return total + sum(apart(a, b) for a, b in zip_longest(old, new, fillvalue=""))


def _below(entry: str) -> str:
    """What is below an entry's heading."""
    return entry.partition("\n")[2]


def _letters(a: str, b: str) -> int:
    start, end = middles(a, b)
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    if len(a) * len(b) > EXACT_PRODUCT:
        a, b = _without_common_lines(a, b)
    if min(len(a), len(b)) < PASSAGE:
        return _exact(a, b)
    olds, news = _WORD.findall(a), _WORD.findall(b)
    if len(olds) * len(news) > WORDS_PRODUCT:
        return _replaced(a, b)
    return sum(_replaced("".join(old), "".join(new)) for old, new in _hunks(olds, news))


def _hunks(olds: Sequence[str], news: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """The runs of words that stand in each other's place."""
    old, new = 0, 0
    for op in Indel.opcodes(olds, news):
        if op.tag == "equal":
            yield olds[old : op.src_start], news[new : op.dest_start]
            old, new = op.src_end, op.dest_end
    yield olds[old:], news[new:]


def _replaced(old: str, new: str) -> int:
    whole, letters = len(old) + len(new), _exact(old, new)
    return letters if letters <= UNLIKE * whole else whole


def _exact(a: str, b: str) -> int:
    """By letters; texts that are too long for that have nothing in common."""
    return int(Indel.distance(a, b)) if len(a) * len(b) <= EXACT_PRODUCT else len(a) + len(b)


def _without_common_lines(a: str, b: str) -> tuple[str, str]:
    lines_a, lines_b = a.splitlines(keepends=True), b.splitlines(keepends=True)
    common = Counter(lines_a) & Counter(lines_b)
    return _less(lines_a, common), _less(lines_b, common)


def _less(lines: Iterable[str], common: Counter[str]) -> str:
    left = Counter(common)
    kept = []
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
        else:
            kept.append(line)
    return "".join(kept)

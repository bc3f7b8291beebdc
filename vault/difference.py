"""How far two texts are apart, fast enough for files of ten megabytes. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from hiveminddb.vault import markdown

# Exact distances cost |a| x |b| / 64 steps: this keeps one under about ten milliseconds.
EXACT_PRODUCT = 300_000_000
OPCODES_PRODUCT = 20_000_000
SAMPLE = 2_000
# Words with words, in a few milliseconds.
WORDS_PRODUCT = 4_000_000
# Where as much was put in the place of as much, words of which more than this share of the letters differs are others.
PASSAGE = 32
UNLIKE = 0.25
_WORD = re.compile(r"\S+\s*|\s+")
_ENTRY = re.compile(r"\n(?=\ufeff?##[ \t]+[0-9]{4}-[0-9]{2}-[0-9]{2})")
CONTEXT = 12
# Below this two texts share no more than unrelated ones do.
ALIKE = 0.2
MAX_PAIRED = 400
MAX_HUNKS = 200
# From this on one line is taken for an edited other one.
SAME_LINE = 0.5
MAX_LINES = 50


def common_prefix(a: Sequence[str], b: Sequence[str]) -> int:
    """How many characters, or lines, two texts share at their start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(a: Sequence[str], b: Sequence[str], limit: int) -> int:
    """How many characters, or lines, at most `limit`, two texts share at their end."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def middles(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """Lengths of the common start and of the common end, which do not overlap."""
    start = common_prefix(a, b)
    return start, common_suffix(a, b, min(len(a), len(b)) - start)


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


def _lines_touched(text: str, start: int, end: int) -> str:
    following = text.find("\n", end)
    return text[text.rfind("\n", 0, start) + 1 : following if following >= 0 else len(text)]


def keeps_old_site(old: str, new: str, text: str) -> bool:
    """True if `text` still reads like `old` at one of the places where `new` differs from it, or in a whole line."""
    gone = set(old.splitlines()).difference(new.splitlines())
    if any(line in gone and len(line.strip()) >= CONTEXT for line in text.splitlines()):
        return True
    start, end = middles(old, new)
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if len(old_middle) * len(new_middle) > OPCODES_PRODUCT:
        return True
    hunks = [op for op in Indel.opcodes(old_middle, new_middle) if op.tag != "equal"]
    sites = ((start + op.src_start, start + op.src_end) for op in hunks[:MAX_HUNKS])
    return any(_around(old, a, b) in text for a, b in sites)


def put_in_other_words(old: str, new: str, text: str) -> bool:
    """True if `text` has put words into a line, where `new` has put unlike ones into the same line."""
    before, known = set(old.splitlines()), set(new.splitlines())
    gone = [line for line in before - known if len(line.strip()) >= CONTEXT][:MAX_LINES]
    theirs = _telling(known - before)
    own = _telling(set(text.splitlines()) - before - known)
    return any(
        len(put) >= CONTEXT and similarity(put, mine) < SAME_LINE
        for line in gone
        for put in _put_into(line, theirs)
        for mine in _put_into(line, own)
    )


def _put_into(line: str, longer: Iterable[str]) -> list[str]:
    """What each of those lines has more than this one, of those that have all of it."""
    return [addition(line, it) for it in longer if _is_whole_in(line, it)]


def _is_whole_in(line: str, longer: str) -> bool:
    """True if a line is another one with more put into it, at one place."""
    return sum(middles(line, longer)) == len(line)


def lacks_lines(old: str, new: str, text: str) -> bool:
    """True if `new` has whole lines more than `old`, and `text` has none of them, edited or not."""
    before = old.splitlines()
    added = _telling(_lines_added(before, new.splitlines()))
    known = set(before)
    own = _telling(line for line in dict.fromkeys(text.splitlines()) if line not in known and line not in old)
    return bool(added) and not any(_is_made_of(mine, line) for line in added for mine in own)


def _is_made_of(edited: str, line: str) -> bool:
    """True if a line is another one with more words put into it, or alike."""
    whole = len(line) >= CONTEXT and _is_whole_in(line, edited)
    return whole or similarity(line, edited) >= SAME_LINE


def _telling(lines: Iterable[str]) -> list[str]:
    """The first of those that are not blank."""
    return list(islice((line for line in lines if line.strip()), MAX_LINES))


def _lines_added(before: Sequence[str], after: Sequence[str]) -> Iterable[str]:
    """Lines that stand where nothing was taken away, or only blank ones; of very long texts, those that are new."""
    start, end = middles(before, after)
    before, after = before[start : len(before) - end], after[start : len(after) - end]
    if len(before) * len(after) > OPCODES_PRODUCT:
        known = set(before)
        yield from (line for line in after if line not in known)
        return
    ops = list(Indel.opcodes(before, after))
    taken = [op.tag == "delete" and any(map(str.strip, before[op.src_start : op.src_end])) for op in ops]
    for op, previous, following in zip(ops, [False, *taken], [*taken[1:], False], strict=False):
        if op.tag == "insert" and not (previous or following):
            yield from after[op.dest_start : op.dest_end]


def shares_lines(old: str, new: str) -> bool:
    """True if a line of some length is in both; the same tags are on many files."""
    lines = {line for line in _below_front(old) if len(line.strip()) >= CONTEXT}
    return any(line in lines for line in _below_front(new))


def _below_front(text: str) -> list[str]:
    return text[markdown.front_matter_end(text) :].splitlines()


def addition(old: str, new: str) -> str:
    """What `new` has in place of what `old` has there, without the blanks around."""
    start, end = middles(old, new)
    return new[start : len(new) - end].strip()


def changed(old: str, new: str) -> int:
    """How many characters stand between what two texts have in common at both ends: in the longer one."""
    return max(len(old), len(new)) - sum(middles(old, new))


def new_words(old: str, new: str) -> list[str]:
    """The runs of words that `new` has more than `old`, each behind the word before it; none for very long texts."""
    a, b = old.split(), new.split()
    if len(a) * len(b) > OPCODES_PRODUCT:
        return []
    runs = (op for op in Indel.opcodes(a, b) if op.tag == "insert")
    return [" ".join(b[max(0, op.dest_start - 1) : op.dest_end]) for op in runs]


def similarity(a: str, b: str) -> float:
    """0 (unrelated) to 1 (equal), by words or, for scripts without spaces, by characters; long texts by a sample."""
    a, b = _sample(a), _sample(b)
    by_word = Indel.normalized_similarity(a.split(), b.split()) if a.split() and b.split() else 0.0
    # Unrelated prose shares about half of its letters in order.
    by_letter = 2 * fuzz.ratio(a, b) / 100 - 1
    return float(max(by_word, by_letter, 0.0))


def kept(old: str, new: str) -> float:
    """The share of a text that is in another, 0 to 1: by words, by characters without spaces, or by lines."""
    if len(old) * len(new) > EXACT_PRODUCT:
        lines = Counter(old.splitlines())
        return (lines & Counter(new.splitlines())).total() / lines.total()
    words = _share(old.split(), new.split())
    # Unrelated prose has about half of its letters in order, and more of them in a much longer text.
    return words if len(new) > 2 * len(old) else max(words, 2 * _share(old, new) - 1)


def _share(old: Sequence[str], new: Sequence[str]) -> float:
    return 1.0 if not old else (len(old) + len(new) - Indel.distance(old, new)) / 2 / len(old)


def longest_rising(values: Sequence[int]) -> set[int]:
    """The values of a longest rising subsequence: what keeps its place when the rest moves."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for i, value in enumerate(values):
        k = bisect_left(ends, value)
        before.append(at[k - 1] if k else -1)
        ends[k : k + 1], at[k : k + 1] = [value], [i]
    kept, i = set(), at[-1] if at else -1
    while i >= 0:
        kept.add(values[i])
        i = before[i]
    return kept


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


def apart(old: str, new: str) -> int:
    """Two texts under one heading: one that was edited or gone on with, or two entries of the same second."""
    goes_on = bool(old and new) and (new.startswith(old) or old.startswith(new))
    return _letters(old, new) if goes_on or similarity(_below(old), _below(new)) >= ALIKE else len(old) + len(new)


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


def _around(text: str, start: int, end: int) -> str:
    return text[max(0, start - CONTEXT) : end + CONTEXT]


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


def _sample(text: str) -> str:
    return text if len(text) <= SAMPLE else text[: SAMPLE // 2] + text[-SAMPLE // 2 :]

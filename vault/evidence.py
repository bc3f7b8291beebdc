"""What lines and words show of whether the author of one text had read another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from rapidfuzz.distance import Indel

from hiveminddb.vault import markdown
from hiveminddb.vault.ends import addition, middles
from hiveminddb.vault.likeness import similarity

# Opcodes of lines, words or letters, in a few milliseconds.
OPCODES_PRODUCT = 20_000_000
CONTEXT = 12
MAX_HUNKS = 200
# From this on one line is taken for an edited other one.
SAME_LINE = 0.5
MAX_LINES = 50


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


def lacks_lines(old: str, new: str, text: str) -> bool:
    """True if `new` has whole lines more than `old`, and `text` has none of them, edited or not."""
    before = old.splitlines()
    added = _telling(_lines_added(before, new.splitlines()))
    known = set(before)
    own = _telling(line for line in dict.fromkeys(text.splitlines()) if line not in known and line not in old)
    return bool(added) and not any(_is_made_of(mine, line) for line in added for mine in own)


def shares_lines(old: str, new: str) -> bool:
    """True if a line of some length is in both; the same tags are on many files."""
    lines = {line for line in _below_front(old) if len(line.strip()) >= CONTEXT}
    return any(line in lines for line in _below_front(new))


def new_words(old: str, new: str) -> list[str]:
    """The runs of words that `new` has more than `old`, each behind the word before it; none for very long texts."""
    a, b = old.split(), new.split()
    if len(a) * len(b) > OPCODES_PRODUCT:
        return []
    runs = (op for op in Indel.opcodes(a, b) if op.tag == "insert")
    return [" ".join(b[max(0, op.dest_start - 1) : op.dest_end]) for op in runs]


def _put_into(line: str, longer: Iterable[str]) -> list[str]:
    """What each of those lines has more than this one, of those that have all of it."""
    return [addition(line, it) for it in longer if _is_whole_in(line, it)]


def _is_whole_in(line: str, longer: str) -> bool:
    """True if a line is another one with more put into it, at one place."""
    return sum(middles(line, longer)) == len(line)


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


def _below_front(text: str) -> list[str]:
    return text[markdown.front_matter_end(text) :].splitlines()


def _around(text: str, start: int, end: int) -> str:
    return text[max(0, start - CONTEXT) : end + CONTEXT]

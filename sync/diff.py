"""The difference between two texts as edits, fine enough that edits made apart merge well. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

from rapidfuzz.distance import Indel

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_WORD = re.compile(r"\w")

# Bits of the alignment matrix rapidfuzz may use (12 MB); beyond it difflib's linear heuristics serve.
_MATRIX_LIMIT = 100_000_000


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace old[start:end] by `text`; offsets in code points of the old text."""

    start: int
    end: int
    text: str


class _Block(NamedTuple):
    old_start: int
    old_end: int
    new_start: int
    new_end: int


def edits(old: str, new: str) -> list[Edit]:
    """Edits in ascending order, not overlapping, from `old` to `new`: lines first, then words in changed lines."""
    found: list[Edit] = []
    for block in _changed(old, new):
        start, end, text = _trim(old, new, block)
        if start < end or text:
            found.append(Edit(start, end, text))
    return found


def apply(old: str, changes: Sequence[Edit]) -> str:
    """The text after the edits."""
    parts, at = [], 0
    for edit in changes:
        parts += [old[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, old[at:]])


def common_prefix(a: str, b: str) -> int:
    """Length of the longest common beginning, by bisection on slices, which compare at memory speed."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(a: str, b: str, limit: int) -> int:
    """Length of the longest common end, at most `limit`."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _trim(old: str, new: str, block: _Block) -> tuple[int, int, str]:
    a, b = old[block.old_start : block.old_end], new[block.new_start : block.new_end]
    head = common_prefix(a, b)
    tail = common_suffix(a, b, min(len(a), len(b)) - head)
    if 2 * (head + tail) < max(len(a), len(b)):
        # Letters that two words happen to share go when somebody deletes the old one, and would tear the new one.
        head = tail = 0
    return block.old_start + head, block.old_end - tail, b[head : len(b) - tail]


def _changed(old: str, new: str) -> Iterator[_Block]:
    head = common_prefix(old, new)
    tail = common_suffix(old, new, min(len(old), len(new)) - head)
    # Whole lines align better than the bare middle does.
    head = old.rfind("\n", 0, head) + 1
    tail = max(0, tail - _to_line_end(old, len(old) - tail))
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    for block in _align(a.splitlines(keepends=True), b.splitlines(keepends=True)):
        yield from _words(a, b, block, head)


def _to_line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return (len(text) if end < 0 else end + 1) - at


def _words(a: str, b: str, block: _Block, offset: int) -> Iterator[_Block]:
    old = a[block.old_start : block.old_end]
    inner = _align(_TOKEN.findall(old), _TOKEN.findall(b[block.new_start : block.new_end]))
    for word in _joined(old, inner):
        yield _Block(
            offset + block.old_start + word.old_start,
            offset + block.old_start + word.old_end,
            offset + block.new_start + word.new_start,
            offset + block.new_start + word.new_end,
        )


def _joined(old: str, blocks: Iterable[_Block]) -> list[_Block]:
    """Blocks with no word between them as one: blanks of words that go would go with them, and glue the new ones."""
    joined: list[_Block] = []
    for block in blocks:
        if joined and not _WORD.search(old, joined[-1].old_end, block.old_start):
            joined[-1] = _Block(joined[-1].old_start, block.old_end, joined[-1].new_start, block.new_end)
        else:
            joined.append(block)
    return joined


def _align(a: list[str], b: list[str]) -> Iterator[_Block]:
    """Where the two lists of pieces differ, as character offsets of their joined texts."""
    old_at, new_at = _offsets(a), _offsets(b)
    for tag, i1, i2, j1, j2 in _opcodes(a, b):
        if tag != "equal":
            yield _Block(old_at[i1], old_at[i2], new_at[j1], new_at[j2])


def _offsets(pieces: list[str]) -> list[int]:
    offsets = [0]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return offsets


def _opcodes(a: list[str], b: list[str]) -> list[tuple[str, int, int, int, int]]:
    if len(a) * len(b) > _MATRIX_LIMIT:
        return list(SequenceMatcher(None, a, b).get_opcodes())
    found: list[tuple[str, int, int, int, int]] = []
    for op in Indel.opcodes(a, b):
        step = (op.tag, op.src_start, op.src_end, op.dest_start, op.dest_end)
        if found and found[-1][0] != "equal" and op.tag != "equal":
            found[-1] = ("replace", found[-1][1], op.src_end, found[-1][3], op.dest_end)
        else:
            found.append(step)
    return found

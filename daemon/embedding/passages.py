"""Where a text longer than a model's window is cut: overlapping passages, evenly spread, at most so many."""

from __future__ import annotations

# Characters a model's own tokenizer is shown of one text: more than fill the passages below, and few enough that
# cutting them never keeps a waiting query for long. Of a larger text the beginning has vectors; words find the rest.
TEXT_LIMIT = 300_000

# Word pieces of a passage, its two ends included (what all-MiniLM-L6-v2 was trained on), and shared by neighbours.
WINDOW = 256
OVERLAP = 32

# Vectors one text may have: 256 passages of 256 word pieces are some 57,000 word pieces, 250 KB of prose.
PASSAGE_LIMIT = 256

# Part of a model's name: vectors of texts cut otherwise are not the same vectors.
CUT = f"{WINDOW}/{OVERLAP}/{PASSAGE_LIMIT}"


def spans(length: int, size: int, overlap: int, limit: int = PASSAGE_LIMIT) -> list[tuple[int, int]]:
    """Ranges no longer than `size` covering 0..length, neighbours sharing `overlap`; over `limit` the first ones."""
    if length <= size:
        return [(0, length)]
    step = size - overlap
    count = -(-(length - overlap) // step)
    if count > limit:
        return [(index * step, index * step + size) for index in range(limit)]
    # Even shares: a text just over the window becomes two halves, not a window and a crumb.
    share = (length - overlap) / count
    starts = [round(index * share) for index in range(count)]
    ends = [start + overlap for start in starts[1:]]
    return list(zip(starts, [*ends, length], strict=True))


def cut(text: str, size: int, overlap: int, limit: int = PASSAGE_LIMIT) -> list[str]:
    """The text as passages of at most `size` characters, cut at blanks where one is near."""
    found = spans(len(text), size, overlap, limit)
    slack = overlap // 2
    passages = []
    for start, end in found:
        begin = _after_blank(text, start, start + slack) if start else 0
        stop = _before_blank(text, end - slack, end) if end < len(text) else end
        passages.append(text[begin:stop])
    return passages


def _after_blank(text: str, start: int, end: int) -> int:
    return next((at + 1 for at in range(start, end) if text[at].isspace()), start)


def _before_blank(text: str, start: int, end: int) -> int:
    return next((at for at in range(end - 1, start, -1) if text[at].isspace()), end)

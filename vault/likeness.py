"""How much of a text is in another, from 0 to 1. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

# Exact distances cost |a| x |b| / 64 steps: this keeps one under about ten milliseconds.
EXACT_PRODUCT = 300_000_000
SAMPLE = 2_000
MOST = 0.75


def similarity(a: str, b: str) -> float:
    """0 (unrelated) to 1 (equal), by words or, for scripts without spaces, by characters; long texts by a sample."""
    a, b = _sample(a), _sample(b)
    by_word = Indel.normalized_similarity(a.split(), b.split()) if a.split() and b.split() else 0.0
    # Unrelated prose shares about half of its letters in order.
    by_letter = 2 * fuzz.ratio(a, b) / 100 - 1
    return float(max(by_word, by_letter, 0.0))


def has_most_lines(old: str, new: str) -> bool:
    """True if most of both texts is lines that they share: seen at once, and so of nearly everything that was saved."""
    shared = Counter(old.splitlines()) & Counter(new.splitlines())
    return sum(len(line) * count for line, count in shared.items()) > MOST * max(len(old), len(new))


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


def _sample(text: str) -> str:
    return text if len(text) <= SAMPLE else text[: SAMPLE // 2] + text[-SAMPLE // 2 :]

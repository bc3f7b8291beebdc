"""Which of many texts are worth comparing with each other: those that have some of their fingerprints in common. Pure.

After Broder, "On the resemblance and containment of documents" (1997): the least of the hashes of all pairs of
neighbouring words are a sample of a text, and of two texts that are alike mostly the same sample.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from heapq import nsmallest
from itertools import pairwise, product
from zlib import crc32

# So many pairs are compared each with each.
FEW = 400
# Of more pairs a text is compared with those that it has most in common with.
CLOSEST = 2
# What is in more texts than this tells none of them from the others.
COMMON = 16

_FINGERPRINTS = 48
# Of a longer text its beginning and its end are enough.
_END = 32_768
_WORD = re.compile(r"\w+")


def fingerprints(text: str) -> Set[int]:
    """A sample of what a text says, about as much of any text."""
    words = ["", *_WORD.findall(text if len(text) <= 2 * _END else text[:_END] + text[-_END:])]
    return frozenset(nsmallest(_FINGERPRINTS, {crc32(f"{a} {b}".encode()) for a, b in pairwise(words)}))


def shortlist(olds: Sequence[Set[int]], news: Sequence[Set[int]]) -> Iterable[tuple[int, int]]:
    """Indices of an old and a new text each, of which the fingerprints are given; all pairs while they are few."""
    if len(olds) * len(news) <= FEW:
        return product(range(len(olds)), range(len(news)))
    places = defaultdict[int, list[int]](list)
    for at, new in enumerate(news):
        for fingerprint in new:
            places[fingerprint].append(at)
    telling = {fingerprint: found for fingerprint, found in places.items() if len(found) <= COMMON}
    return [(at, new) for at, old in enumerate(olds) for new in _closest(old & telling.keys(), telling)]


def _closest(shared: Iterable[int], places: dict[int, list[int]]) -> list[int]:
    counted = Counter(new for fingerprint in shared for new in places[fingerprint])
    return sorted(counted, key=lambda new: (-counted[new], new))[:CLOSEST]

"""Which vanished file is which new one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hiveminddb.vault.difference import similarity

# A file that was renamed and edited between two looks shares most of its text with what it was.
ALIKE = 0.6
# Comparing texts is for a handful of files; a whole folder that moves is told by inodes and digests.
MAX_COMPARED = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was last known, or as it has just been found."""

    topic: str
    inode: int
    digest: str
    text: str


def pair(gone: Sequence[Seen], new: Sequence[Seen]) -> dict[str, str]:
    """Old topic to new topic: by inode, then by equal text, then by likeness; each file at most once."""
    pairs: dict[str, str] = {}
    _match(gone, new, pairs, lambda old, it: old.inode == it.inode and old.inode != 0)
    _match(gone, new, pairs, lambda old, it: bool(old.digest) and old.digest == it.digest and bool(it.text.strip()))
    left = [old for old in gone if old.topic not in pairs]
    if len(left) * len(new) <= MAX_COMPARED:
        _match(left, new, pairs, lambda old, it: bool(old.text) and similarity(old.text, it.text) > ALIKE)
    return pairs


def _match(
    gone: Iterable[Seen], new: Iterable[Seen], pairs: dict[str, str], fits: Callable[[Seen, Seen], bool]
) -> None:
    taken = set(pairs.values())
    for old in gone:
        if old.topic in pairs:
            continue
        found = next((it for it in new if it.topic not in taken and fits(old, it)), None)
        if found is not None:
            pairs[old.topic] = found.topic
            taken.add(found.topic)

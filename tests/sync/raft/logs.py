"""Entries, and the messages that carry them."""

from __future__ import annotations

from hiveminddb.sync.raft.codec import (
    COMMAND,
    Append,
)


def entries(first: int, last: int, term: int, size: int = 1) -> tuple[tuple[bytes, int, int], ...]:
    return tuple((COMMAND + bytes(size), index, term) for index in range(first, last + 1))


def append(term: int, previous: tuple[int, int], last: int, commit: int = 0, number: int = 1) -> Append:
    """From a leader of `term`: entries of that term behind (index, term)."""
    return Append(term, number, *previous, commit, 100, entries(previous[0] + 1, last, term))

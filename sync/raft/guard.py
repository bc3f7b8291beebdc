"""What of a message pysyncobj may see. Pure: each function takes what is known and returns what is to be done."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hiveminddb.errors import StorageError
from hiveminddb.sync.raft.codec import Append
from hiveminddb.sync.raft.journal import Entry

_HINT = "two swarms have been formed of one: hmd swarm recover on the nodes that are to follow"


class Log(Protocol):
    """What of a log the guard looks at."""

    @property
    def base_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    @property
    def last_term(self) -> int: ...
    def term_at(self, index: int) -> int | None: ...
    def first_of_term(self, index: int) -> int: ...


class Fitting(NamedTuple):
    """An Append that fits: entries that the log lacks, behind one it has; all up to `proven` is the leader's."""

    prev_index: int
    prev_term: int
    entries: tuple[Entry, ...]
    commit: int
    proven: int


class Misfit(NamedTuple):
    """An Append that does not fit; entries from `retry` on might."""

    retry: int


def fit(log: Log, commit: int, message: Append) -> Fitting | Misfit:
    """Drops what the log holds already: only a conflict may cut it (Raft, figure 2, AppendEntries 3 and 4)."""
    prev_index, prev_term, entries = message.prev_index, message.prev_term, message.entries
    proven = prev_index + len(entries)
    if prev_index < log.base_index or prev_index == 0:
        # What is before the base is committed, so it is the leader's as well; and every log begins with nothing.
        entries = entries[log.base_index - prev_index :]
        prev_index, prev_term = log.base_index, log.term_at(log.base_index) or 0
    if prev_index > log.last_index:
        return Misfit(log.last_index + 1)
    held = log.term_at(prev_index)
    if held != prev_term:
        if prev_index <= commit:
            raise StorageError(f"entry {prev_index} is committed here in term {held}, elsewhere in {prev_term}", _HINT)
        # A whole term of conflicts is jumped over at once; below the commit index there are none.
        return Misfit(max(log.first_of_term(prev_index), commit + 1))
    known = 0
    while known < len(entries) and log.term_at(entries[known][1]) == entries[known][2]:
        known += 1
    if known == len(entries):
        # Nothing new. Shown to pysyncobj as an empty message behind the very end, which cuts nothing off.
        return Fitting(log.last_index, log.last_term, (), min(message.commit, proven), proven)
    if known:
        prev_index, prev_term = entries[known - 1][1], entries[known - 1][2]
    return Fitting(prev_index, prev_term, entries[known:], min(message.commit, proven), proven)


def capped(index: int, proven: int) -> int:
    """An acknowledgement says no more than what the message proved, whatever else the log holds."""
    return min(index, proven)


def up_to_date(log: Log, last_index: int, last_term: int) -> bool:
    """Whether a log ending so holds all that this one may have committed (Raft, 5.4.1)."""
    return (last_term, last_index) >= (log.last_term, log.last_index)


def may_ask(log: Log, member: bool, last_index: int, last_term: int) -> bool:
    """Whether a candidate is worth hearing: a member, or one with a longer log, which may know of newer members."""
    return member or (last_term, last_index) > (log.last_term, log.last_index)


def committed_by(majority: int, matches: list[int]) -> int:
    """The last index that `majority` logs hold; one's own durable one is among `matches`."""
    return sorted(matches, reverse=True)[majority - 1]

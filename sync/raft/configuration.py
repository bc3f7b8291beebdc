"""Who votes, read from the log. Pure.

A configuration holds from the moment its entry is in the log, committed or not (Ongaro's dissertation, 4.1); where a
new leader cuts the entry off, the one before it holds again. Changed by one voter at a time, so that any two majorities
of neighbouring configurations share a voter.
"""

from __future__ import annotations

from collections.abc import Iterable

from hiveminddb.errors import Conflict
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import CONFIGURATION, MOST_VOTERS, decode_voters
from hiveminddb.sync.raft.journal import Base, Entry


class Configuration:
    """The configurations of a log's base and of its entries, in order."""

    def __init__(self, base: Base, entries: Iterable[Entry]) -> None:
        self._known: list[tuple[int, frozenset[NodeId]]] = [(base.index, base.voters)]
        self.appended(entries)

    @property
    def voters(self) -> frozenset[NodeId]:
        return self._known[-1][1]

    @property
    def index(self) -> int:
        """The entry that made it."""
        return self._known[-1][0]

    @property
    def history(self) -> list[tuple[int, frozenset[NodeId]]]:
        """(entry, voters from it on), the base's first."""
        return list(self._known)

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def at(self, index: int) -> frozenset[NodeId]:
        """The voters after entry `index`, which is not before the base."""
        return next(voters for made, voters in reversed(self._known) if made <= index)

    def appended(self, entries: Iterable[Entry]) -> bool:
        """Whether one of the entries is a configuration."""
        found = [(index, decode_voters(stored)) for stored, index, _ in entries if stored[:1] == CONFIGURATION]
        self._known += found
        return bool(found)

    def cut(self, first: int) -> bool:
        """Entries from `first` are gone; whether a configuration was among them."""
        before = len(self._known)
        self._known = [pair for pair in self._known if pair[0] < first]
        return len(self._known) < before

    def begin_after(self, base: Base) -> None:
        """The log begins at `base` now."""
        self._known = [(base.index, base.voters), *(pair for pair in self._known if pair[0] > base.index)]


def with_voter(voters: frozenset[NodeId], node: NodeId) -> frozenset[NodeId]:
    """Raises Conflict where there are five."""
    if len(voters) >= MOST_VOTERS and node not in voters:
        raise Conflict(f"the swarm has {len(voters)} voters already", f"at most {MOST_VOTERS}: remove one first")
    return voters | {node}


def without_voter(voters: frozenset[NodeId], node: NodeId) -> frozenset[NodeId]:
    """Raises Conflict where it is the only one."""
    if voters == {node}:
        raise Conflict(f"{node} is the only voter", "add another first")
    return voters - {node}


def check_single_change(index: int, commit: int, first_of_term: int) -> None:
    """Raises Conflict while a change is not committed, or nothing of the leader's own term (raft-dev, 2015-07-10)."""
    if index > commit:
        raise Conflict(f"the change of voters at entry {index} is still under way", "try again in a moment")
    if first_of_term > commit:
        raise Conflict("the leader is new and has committed nothing yet", "try again in a moment")

"""Which of the texts that a file had somebody may have edited: the newest, and older ones that a save comes close to.

What the mirror wrote is the file as of some change, so any such text can be made again from the log, remembered or
not. The closest is found without making any: by when the entries that the save still has stood in the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from hiveminddb.store import changes, history, vault_state
from hiveminddb.store.history import Stay
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase
from hiveminddb.vault import markdown

# Who made the changes that a save was taken for.
BY_FILE = "file"

# How many texts of each kind a save is compared with. More would cost more a save.
_NEWEST = 6
_SAVES = 3
_LATE = 3


def file_bases(tx: Transaction, topic: str) -> list[VaultBase]:
    """The recent texts that were in a topic's file, newest first."""
    return [base for base in vault_state.vault_bases(tx.connection, topic) if base.by != "late"]


def candidates(tx: Transaction, topic: str, text: str) -> list[VaultBase]:
    """The bases to compare a save with: first the file's newest text, then the others, newest first."""
    line = file_bases(tx, topic)
    late = [base for base in vault_state.vault_bases(tx.connection, topic) if base.by == "late"][:_LATE]
    if not line:
        return late
    nearness = _Nearness(history.stays_in(tx.connection, topic, line[0].n), text)
    begin, end = nearness.nearest(line[0].n)
    near = [base for base in line if not base.extra and begin <= base.upto <= end]
    if not near and _may_have_been_read(tx, line, end):
        near = [VaultBase(topic, end, end, "mirror", "")]
        line = sorted([*line, *near], key=_age)
    saves = sorted((base for base in line if base.extra), key=lambda base: nearness.distance(base.upto))
    wanted = {line.index(base) for base in (*line[:_NEWEST], *near[:1], *saves[:_SAVES])}
    # What came right after a text tells whether somebody may still hold it.
    wanted |= {max(0, i - 1) for i in wanted}
    return [line[0], *sorted([*(line[i] for i in wanted if i), *late], key=_age)]


def _may_have_been_read(tx: Transaction, line: Sequence[VaultBase], n: int) -> bool:
    """Whether the file as of a change may have been there: in the middle of a save it was, if that was only appends."""
    following = changes.change(tx.connection, n + 1)
    if following is None or following.actor != BY_FILE:
        return following is not None
    before = max((base.n for base in line if base.n <= n), default=n)
    after = min((base.n for base in line if base.n > n), default=n)
    made = (changes.change(tx.connection, at) for at in range(before + 1, after + 1))
    return all(change is not None and change.action == "add" for change in made)


def _age(base: VaultBase) -> tuple[int, bool]:
    """Newest first; of one change, the mirror's text came last."""
    return -base.n, base.by != "mirror"


class _Nearness:
    """How far a text is from the file as of any change, counted in whole entries; up to a constant."""

    def __init__(self, stays: Iterable[Stay], text: str) -> None:
        # A code fence that somebody has not closed yet must not make the rest of the file one piece.
        pieces = set(markdown.pieces(text))
        self._is_kin = False
        steps: defaultdict[int, int] = defaultdict(int)
        for stay in stays:
            parts = markdown.pieces(stay.text)
            weight = sum(-len(part) if part in pieces else len(part) for part in parts)
            self._is_kin |= not pieces.isdisjoint(parts)
            steps[stay.since] += weight
            if stay.until is not None:
                steps[stay.until] -= weight
        self._changes = sorted(steps)
        self._sums = list(accumulate(steps[n] for n in self._changes))

    def distance(self, n: int) -> int:
        """Of the file as of change `n`."""
        at = bisect_right(self._changes, n)
        return self._sums[at - 1] if at else 0

    def nearest(self, upto: int) -> tuple[int, int]:
        """From which change to which, at most `upto`, the file was nearest; the latest such time."""
        begins = [n for n in self._changes if n <= upto] if self._is_kin else []
        if not begins:
            return upto, upto
        at = min(range(len(begins)), key=lambda i: (self._sums[i], -i))
        return begins[at], begins[at + 1] - 1 if at + 1 < len(begins) else upto

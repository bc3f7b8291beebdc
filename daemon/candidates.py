"""Which of the texts that a file had somebody may have edited: the newest, and older ones that a save comes close to.

What the mirror wrote is the file as of some change, so any such text can be made again from the log, remembered or
not. The closest is found without making any: by when the entries that the save still has stood in the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from hiveminddb.store import changes, history, vault_state
from hiveminddb.store.history import Stay
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase
from hiveminddb.vault import markdown
from hiveminddb.vault.files import digest_of

# Who made the changes that a save was taken for.
BY_FILE = "file"

# How many texts of each kind a save is compared with. More would cost more a save.
_NEWEST = 6
_SAVES = 3
_LATE = 3
_APPENDS = 3

_EMPTY = digest_of("")


def file_bases(tx: Transaction, topic: str) -> list[VaultBase]:
    """The recent texts that were in a topic's file, newest first."""
    return [base for base in vault_state.vault_bases(tx.connection, topic) if base.by != "late"]


def candidates(tx: Transaction, topic: str, text: str, was: str = "") -> list[VaultBase]:
    """The bases to compare a save with: first the file's newest text, then the others, newest first.

    `was` is the digest of the text that is the newest for this save: one that replaced it since was never seen.
    """
    known = vault_state.vault_bases(tx.connection, topic)
    late = [base for base in known if base.by == "late" and base.digest != was][:_LATE]
    newest = next((i for i, base in enumerate(known) if base.digest == was), 0) if was else 0
    line = [base for base in known[newest:] if base.by != "late" or base.digest == was]
    if not line:
        return late
    nearness = _Nearness(history.stays_in(tx.connection, topic, line[0].n), text)
    saves = sorted((base for base in line if base.extra), key=lambda base: nearness.distance(base.upto))
    near = {*line[:_NEWEST], *saves[:_SAVES], *_nearest(tx, line, nearness)}
    if nearness.is_kin:
        steps = [(base, before) for base, before in pairwise(line) if base in near and before.digest != _EMPTY]
        near |= {earlier for base, before in steps for earlier in _before_appends(tx, base, before.n)}
        late += [earlier for base in late for earlier in _before_appends(tx, base, base.upto)]
    line = [line[0], *sorted({*line[1:], *near} - {line[0]}, key=_age)]
    wanted = {line.index(base) for base in near}
    # What came right after a text tells whether somebody may still hold it.
    wanted |= {max(0, i - 1) for i in wanted}
    return [line[0], *sorted([*(line[i] for i in wanted if i), *late], key=_age)]


def _nearest(tx: Transaction, line: Sequence[VaultBase], nearness: _Nearness) -> list[VaultBase]:
    """The text as of when the file was nearest; where that is in the middle of a save, the text saved."""
    begin, end = nearness.nearest(line[0].n)
    known = [base for base in line if not base.extra and begin <= base.upto <= end]
    following = changes.change(tx.connection, end + 1)
    if known or following is None:
        return known[:1]
    if following.actor == BY_FILE:
        return [base for base in line if base.n > end][-1:]
    return [VaultBase(line[0].topic, end, end, "mirror", "")]


def _before_appends(tx: Transaction, saved: VaultBase, since: int) -> Iterator[VaultBase]:
    """A text that grew by several appends at a time may have been read between them: without the last ones."""
    base, left = saved, _APPENDS if saved.by != "mirror" else 0
    while left and base.n > since + 1 and base.extra[-1:] in ((), (base.n,)) and _is_append(tx, base.n):
        upto = base.upto if saved.extra else base.n - 1
        base, left = VaultBase(base.topic, base.n - 1, upto, saved.by, "", base.extra[:-1]), left - 1
        yield base


def _is_append(tx: Transaction, n: int) -> bool:
    """Whether a change is an entry that the agent-memory server, or one like it, put into the file."""
    made = changes.change(tx.connection, n)
    row = tx.memory(made.document) if made and made.action == "add" and made.actor == BY_FILE else None
    return row is not None and markdown.BY_SERVER.match(row.text) is not None


def _age(base: VaultBase) -> tuple[int, bool]:
    """Newest first; of one change, the mirror's text came last."""
    return -base.n, base.by != "mirror"


class _Nearness:
    """How far a text is from the file as of any change, counted in whole entries; up to a constant."""

    def __init__(self, stays: Iterable[Stay], text: str) -> None:
        # A code fence that somebody has not closed yet must not make the rest of the file one piece.
        pieces = set(markdown.pieces(text))
        self.is_kin = False
        steps: defaultdict[int, int] = defaultdict(int)
        for stay in stays:
            parts = markdown.pieces(stay.text)
            weight = sum(-len(part) if part in pieces else len(part) for part in parts)
            self.is_kin |= not pieces.isdisjoint(parts)
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
        begins = [n for n in self._changes if n <= upto] if self.is_kin else []
        if not begins:
            return upto, upto
        at = min(range(len(begins)), key=lambda i: (self._sums[i], -i))
        return begins[at], begins[at + 1] - 1 if at + 1 < len(begins) else upto

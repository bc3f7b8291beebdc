"""Which of the texts that a file had somebody may have edited: the newest, and older ones that a save comes close to.

What the mirror wrote is the file as of some change, so any such text can be made again from the log, remembered or
not. The closest is found without making any: by when the entries that the save still has stood in the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import accumulate, zip_longest

from hiveminddb.daemon.entries import BY_FILE
from hiveminddb.daemon.mirror.bases import BASES_KEPT
from hiveminddb.store import changes, history, vault_state
from hiveminddb.store.history import Stay
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase
from hiveminddb.vault import markdown
from hiveminddb.vault.choosing import Shown
from hiveminddb.vault.difference import apart

# How many texts of each kind a save is compared with. More would cost more a save.
_NEWEST = 6
_SAVES = 3
_SEEN = 3
_LATE = 3

# Appended entries that may be taken for each other stand close together.
_RIVALS = 16


def candidates(tx: Transaction, topic: str, text: str, was: str = "") -> list[VaultBase]:
    """The bases to compare a save with: first the file's newest text, then the others, newest first.

    `was` is the digest of the text that is the newest for this save: one that replaced it since was never seen.
    """
    known = vault_state.vault_bases(tx.connection, topic)
    newest = next((i for i, base in enumerate(known) if base.digest == was), 0) if was else 0
    late = [base for base in known if base.by == "late" and base.digest != was][:_LATE]
    line = [base for base in known[newest:] if base.by != "late" or base.digest == was]
    if not line:
        return late
    stays = list(history.stays_in(tx.connection, topic, line[0].n))
    nearness, came = _Nearness(stays, text), sorted({stay.since for stay in stays})
    saves = sorted((base for base in line if base.extra), key=lambda base: nearness.distance(base.upto))
    seen = sorted((base for base in line if not base.extra), key=lambda base: nearness.distance(base.upto))
    nearest = _nearest(tx, line, nearness, is_all=len(known) < BASES_KEPT)
    near = {*line[:_NEWEST], *saves[:_SAVES], *seen[:_SEEN], *nearest}
    shown = Shown(text)
    steps = [(base, before.n if before else 0) for base, before in zip_longest(line, line[1:]) if base in near]
    near |= {earlier for base, since in steps for earlier in _before_appends(tx, base, since, shown, came)}
    late += [earlier for base in late for earlier in _before_appends(tx, base, base.upto, shown, came)]
    line = [line[0], *sorted({*line[1:], *near} - {line[0]}, key=_age)]
    wanted = {line.index(base) for base in near}
    # What came right after a text tells whether somebody may still hold it.
    wanted |= {max(0, i - 1) for i in wanted}
    return [line[0], *sorted([*(line[i] for i in wanted if i), *late], key=_age)]


def _nearest(tx: Transaction, line: Sequence[VaultBase], nearness: _Nearness, is_all: bool) -> list[VaultBase]:
    """The text as of when the file was nearest; where that is between two that it had, the later one.

    So it is before the first one, where these are `is_all` that it ever had: what came at once was never there in part.
    """
    begin, end = nearness.nearest(line[0].n)
    known = [base for base in line if not base.extra and begin <= base.upto <= end]
    following = [base for base in line if base.n > end]
    if known or not following:
        return known[:1]
    is_remembered = len(following) < len(line)
    if is_all or is_remembered or _made_of(tx, following[-1], end + 1):
        return following[-1:]
    return [VaultBase(line[0].topic, end, end, "mirror", "")]


def _made_of(tx: Transaction, saved: VaultBase, n: int) -> bool:
    """Whether a change is one of those that a save made of a file."""
    if saved.by != "disk" or saved.extra:
        return n in saved.extra
    made, last = changes.change(tx.connection, n), changes.change(tx.connection, saved.n)
    return made is not None and last is not None and made.actor == BY_FILE and made.origin == last.origin


def _before_appends(
    tx: Transaction, saved: VaultBase, since: int, shown: Shown, came: Sequence[int]
) -> Iterator[VaultBase]:
    """What came in one look may have come in several steps: the text before the last appends, those not shown.

    `came` are the changes by which something came into the file.
    """
    if saved.by == "mirror":
        return
    made = saved.extra or came[bisect_right(came, since) : bisect_right(came, saved.n)]
    appended = cache(partial(_appended, tx))
    kept = len(made)
    while kept and made[kept - 1] > since and (last := appended(made[kept - 1])):
        if shown.has(last, [appended(n) for n in made[max(0, kept - 1 - _RIVALS) : kept - 1]]):
            break
        kept -= 1
    # Without everything that came it is the text before, and that is known.
    if kept < len(made) and kept and made[kept - 1] > since:
        n, extra = made[kept] - 1, saved.extra[:kept]
        yield replace(saved, n=n, upto=saved.upto if extra else n, digest="", extra=extra)


def _appended(tx: Transaction, n: int) -> str:
    """The entry that the agent-memory server, or one like it, put into the file by this change; else ""."""
    made = changes.change(tx.connection, n)
    row = tx.memory(made.document) if made and made.action == "add" and made.actor == BY_FILE else None
    return row.text if row and markdown.BY_SERVER.match(row.text) else ""


def _first_line(piece: str) -> str:
    """By what an edited entry is known again: its dated heading; the head of a file by having none."""
    return piece.partition("\n")[0] if markdown.heading_time(piece) else ""


def _age(base: VaultBase) -> tuple[int, bool]:
    """Newest first; of one change, the mirror's text came last."""
    return -base.n, base.by != "mirror"


class _Nearness:
    """How far a text is from the file as of any change, counted entry by entry; up to a constant."""

    def __init__(self, stays: Iterable[Stay], text: str) -> None:
        # A code fence that somebody has not closed yet must not make the rest of the file one piece.
        self._pieces = set(markdown.pieces(text))
        self._edited: defaultdict[str, list[str]] = defaultdict(list)
        cut = [(stay, markdown.pieces(stay.text)) for stay in stays]
        known = {part for _, parts in cut for part in parts}
        self.is_kin = not self._pieces.isdisjoint(known)
        for piece in self._pieces - known:
            self._edited[_first_line(piece)].append(piece)
        steps: defaultdict[int, int] = defaultdict(int)
        for stay, parts in cut:
            weight = sum(map(self._weight, parts))
            steps[stay.since] += weight
            if stay.until is not None:
                steps[stay.until] -= weight
        self._changes = sorted(steps)
        self._sums = list(accumulate(steps[n] for n in self._changes))

    def _weight(self, part: str) -> int:
        """What a piece of the file adds to the distance; less than nothing where the text has it, edited or not."""
        if part in self._pieces:
            return -len(part)
        edits = self._edited[_first_line(part)] if _first_line(part) in self._edited else ()
        return min((apart(part, edit) - len(edit) for edit in edits), default=len(part))

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

"""Who stands next to whom: the rows of each group, in their order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from hiveminddb.store.columns import NONE

Order = tuple[int, str, str]
Pair = tuple[int, int]


class Neighbours:
    """`order` says where in its group a row belongs; it must not change while the row is here."""

    def __init__(self, order: Callable[[int], Order]) -> None:
        self._order = order
        self._groups: dict[int, list[int]] = {}

    def put(self, row: int, group: int) -> Pair:
        """The rows before and after a new one; NONE at an end."""
        rows = self._groups.setdefault(group, [])
        # What is new mostly comes last.
        at = len(rows)
        if rows and self._order(row) < self._order(rows[-1]):
            at = self._place(rows, row)
        rows.insert(at, row)
        return _around(rows, at)

    def drop(self, row: int, group: int) -> Pair:
        """The rows before and after one that goes."""
        rows = self._groups[group]
        at = len(rows) - 1 if rows[-1] == row else rows.index(row, self._place(rows, row))
        pair = _around(rows, at)
        del rows[at]
        if not rows:
            del self._groups[group]
        return pair

    def fill(self, grouped: Iterable[Pair]) -> None:
        """Many at once: rows with their groups, those of each group in their order."""
        for row, group in grouped:
            self._groups.setdefault(group, []).append(row)

    def _place(self, rows: list[int], row: int) -> int:
        return bisect_left(rows, self._order(row), key=self._order)


def _around(rows: list[int], at: int) -> Pair:
    return rows[at - 1] if at else NONE, rows[at + 1] if at + 1 < len(rows) else NONE

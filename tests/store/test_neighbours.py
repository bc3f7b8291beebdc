from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.store.columns import NONE
from hiveminddb.store.neighbours import Neighbours

places = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=30)


@given(places, st.integers(0, 30))
def test_each_row_stands_between_those_next_to_it_in_its_group(places: list[tuple[int, int]], filled: int) -> None:
    """A row is its number; those of equal places may stand either way."""
    neighbours = Neighbours(lambda row: (places[row][1], "", ""))
    groups: dict[int, list[int]] = {0: [], 1: [], 2: []}

    def check(row: int, group: int, pair: tuple[int, int]) -> None:
        rows = neighbours._groups.get(group, [])
        assert sorted(rows) == sorted(groups[group]) and sorted(rows, key=lambda it: places[it][1]) == rows
        before, after = pair
        if row in rows:
            at = rows.index(row)
            assert rows[max(0, at - 1) : at + 2] == [it for it in (before, row, after) if it != NONE]
        elif NONE not in pair:
            assert rows.index(before) + 1 == rows.index(after)

    first = sorted(range(min(filled, len(places))), key=lambda row: places[row])
    neighbours.fill((row, places[row][0]) for row in first)
    for row in first:
        groups[places[row][0]].append(row)
    for row in range(len(first), len(places)):
        groups[places[row][0]].append(row)
        check(row, places[row][0], neighbours.put(row, places[row][0]))
    for row in sorted(range(len(places)), key=lambda row: (row * 7) % 11):
        groups[places[row][0]].remove(row)
        check(row, places[row][0], neighbours.drop(row, places[row][0]))
    assert neighbours._groups == {}

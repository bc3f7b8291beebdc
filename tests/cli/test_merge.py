from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.cli.merge import merge

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=8).map("".join)


def test_changes_of_different_places_are_both_kept() -> None:
    assert merge("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n") == "A\nb\nc\nD\n"


def test_different_changes_of_one_line_are_not_merged() -> None:
    assert merge("a\n", "b\n", "c\n") is None


def test_the_same_change_twice_is_one() -> None:
    assert merge("a\nb\nc\n", "a\nB\nc\n", "a\nB\nc\n") == "a\nB\nc\n"


def test_two_different_additions_at_one_place_are_not_merged() -> None:
    assert merge("a\n", "a\nx\n", "a\ny\n") is None


@given(LINES, LINES)
def test_one_change_alone_is_that_change(base: str, changed: str) -> None:
    assert merge(base, changed, base) == changed
    assert merge(base, base, changed) == changed


@given(LINES, LINES, LINES)
def test_the_order_of_the_two_does_not_matter(base: str, mine: str, theirs: str) -> None:
    assert merge(base, mine, theirs) == merge(base, theirs, mine)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.sync.position import between, is_key, sequence


@given(st.lists(st.integers(0, 1_000_000), max_size=200))
def test_a_key_can_always_be_made_between_two_neighbours(places: list[int]) -> None:
    keys: list[str] = []
    for place in places:
        at = place % (len(keys) + 1)
        keys.insert(at, between(keys[at - 1] if at else None, keys[at] if at < len(keys) else None))
    assert keys == sorted(set(keys))
    assert all(map(is_key, keys))


@given(st.text("0aAzZ\x00é", max_size=6) | st.text(max_size=3))
def test_what_another_node_calls_a_key_is_refused_or_can_be_worked_with(key: str) -> None:
    if is_key(key):
        assert between(None, key) < key < between(key, None)
        assert key < between(key, key)


def test_long_keys_of_another_node_are_no_trouble() -> None:
    key = "a0" + "z" * 60_000
    assert is_key(key)
    assert between(key, None) > key
    assert key < between(key, "a1")
    assert not is_key("a0" + "z" * 100_000)


def test_appending_and_prepending_keep_keys_short() -> None:
    keys = list(sequence(None, None, 20_000))
    assert keys == sorted(set(keys))
    assert max(map(len, keys)) <= 8
    front = keys[0]
    for _ in range(5000):
        before = between(None, front)
        assert before < front
        front = before
    assert len(front) <= 8


def test_between_equal_neighbours_the_new_key_stands_behind_them() -> None:
    assert between("a0V", "a0V") > "a0V"

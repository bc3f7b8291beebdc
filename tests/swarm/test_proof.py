"""The torture's proof about claims finds what is wrong, and nothing else."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from bench.hands.ledger import Ledger
from bench.torture_swarm.claims import Claimants, Held, Seen, decided_twice


def found(held: list[Held] | None = None, seen: list[Seen] | None = None) -> list[str]:
    return list(decided_twice(Claimants(threading.Event(), Ledger(), held or [], seen or [])))


def lease(holder: str, token: int, asked: float, until: float, consensus: str = "one") -> Held:
    return Held("printer", holder, token, asked, asked + 0.1, until, consensus)


def read(version: int, asked: float, answered: float, value: str = "") -> Seen:
    return Seen("config", version, value or f"v{version}", asked, answered, False, "h0", "one")


def write(version: int, asked: float, answered: float, value: str = "") -> Seen:
    return Seen("config", version, value or f"v{version}", asked, answered, True, "h1", "one")


def test_leases_one_after_the_other_are_right() -> None:
    assert found([lease("ann", 1, 0, 2), lease("bob", 2, 2.5, 4), lease("ann", 7, 5, 6)]) == []


def test_a_lease_granted_while_another_was_certainly_held_is_found() -> None:
    assert found([lease("ann", 1, 0, 10), lease("bob", 2, 5, 7)])


def test_a_lease_asked_for_before_the_other_ended_and_granted_after_it_is_right() -> None:
    assert found([lease("ann", 1, 0, 2), Held("printer", "bob", 2, 1.5, 2.2, 4, "one")]) == []


def test_one_token_for_two_and_a_token_that_is_less_than_an_earlier_one_are_found() -> None:
    assert found([lease("ann", 1, 0, 1), Held("deploy", "bob", 1, 5, 6, 7, "one")])
    assert found([lease("ann", 5, 0, 1), lease("bob", 4, 5, 6)])


def test_what_two_consensus_decided_is_not_compared() -> None:
    assert found([lease("ann", 1, 0, 10), lease("bob", 1, 5, 7, "another")]) == []


def test_a_read_that_began_after_a_set_was_answered_and_shows_less_is_found() -> None:
    assert found(seen=[write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)])
    assert found(seen=[read(2, 0, 1), read(1, 2, 3)])


def test_a_read_at_the_same_time_as_a_set_may_show_either() -> None:
    assert found(seen=[write(1, 0, 1), write(2, 2, 5), read(1, 3, 4), read(2, 3, 4)]) == []


def test_two_values_of_one_version_and_a_version_made_twice_are_found() -> None:
    assert found(seen=[write(1, 0, 1, "a"), read(1, 2, 3, "b")])
    assert found(seen=[write(1, 0, 1), write(1, 0, 1)])


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 1)), max_size=40))
def test_any_history_of_a_register_that_happened_at_points_in_time_is_right(
    operations: list[tuple[bool, float, float]],
) -> None:
    version, seen = 0, []
    for moment, (is_write, before, after) in enumerate(operations):
        version += is_write
        if version:
            seen.append(Seen("config", version, f"v{version}", moment - before, moment + after, is_write, "h0", "one"))
    assert found(seen=seen) == []

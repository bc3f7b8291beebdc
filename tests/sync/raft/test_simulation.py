from __future__ import annotations

import pytest

from tests.sync.raft.simulation import simulate

# Schedules of one test; more of them by `python -m bench.raft_schedules`.
BLOCK = 60


@pytest.mark.parametrize("block", range(6))
def test_no_schedule_breaks_a_promise(block: int) -> None:
    committed = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        try:
            committed += simulate(seed).outcomes.get("committed", 0)
        except AssertionError as broken:
            raise AssertionError(f"schedule {seed}: {broken}") from broken
    assert committed > 10 * BLOCK


def test_a_schedule_is_the_same_every_time() -> None:
    first, second = simulate(4), simulate(4)
    assert first.outcomes == second.outcomes
    assert first.order == second.order

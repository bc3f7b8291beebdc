from __future__ import annotations

from hiveminddb.sync.clock import Clock, pack, to_microseconds


def test_time_never_repeats_nor_goes_back_when_the_wall_clock_does() -> None:
    walls = iter([1000, 1000, 400, 400, 2000])
    clock = Clock(wall=lambda: next(walls))
    seen = [clock.now() for _ in range(5)]
    assert seen == sorted(set(seen))
    assert to_microseconds(seen[-1]) == 2_000_000


def test_a_clock_is_never_behind_what_it_has_seen() -> None:
    clock = Clock(wall=lambda: 5)
    clock.witness(pack(9000, 7))
    assert clock.now() > pack(9000, 7)

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hiveminddb.sync.clock import AHEAD_MILLISECONDS, Clock, pack, to_microseconds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def test_a_clock_far_in_the_future_takes_ours_along_a_few_minutes_at_most() -> None:
    clock = Clock(wall=lambda: 5)
    clock.witness(pack(10**12))
    assert pack(5) < clock.now() <= pack(5 + AHEAD_MILLISECONDS, 1)
    clock.witness((1 << 63) - 1)
    assert clock.now() <= pack(5 + AHEAD_MILLISECONDS, 2)


def test_every_time_that_fits_the_database_is_a_date() -> None:
    assert (EPOCH + timedelta(microseconds=to_microseconds((1 << 63) - 1))).year == 6429

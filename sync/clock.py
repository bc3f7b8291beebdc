"""Hybrid logical clock (Kulkarni et al., 2014) packed into one integer: unix milliseconds << 16 | counter."""

from __future__ import annotations

import time
from collections.abc import Callable

COUNTER_BITS = 16

# How far ahead of the wall clock another node's time may take ours: one machine with a wrong year must not set all, and
# one that is hours behind must still say what came after what.
AHEAD_MILLISECONDS = 24 * 3600 * 1000


def pack(milliseconds: int, counter: int = 0) -> int:
    return milliseconds << COUNTER_BITS | counter


def to_microseconds(hlc: int) -> int:
    """The wall-clock part, in microseconds since the epoch; 63 bits reach the year 6429, so every one is a date."""
    return (hlc >> COUNTER_BITS) * 1000


def from_microseconds(at: int) -> int:
    """The timestamp of a moment that was before there was a clock."""
    return pack(max(0, at // 1000))


def _wall_milliseconds() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """Hands out strictly increasing timestamps, never behind one it has seen."""

    def __init__(self, last: int = 0, wall: Callable[[], int] = _wall_milliseconds) -> None:
        self._last = last
        self._wall = wall

    def now(self) -> int:
        """A timestamp greater than every one before, even where the wall clock was set back."""
        self._last = max(pack(self._wall()), self._last + 1)
        return self._last

    def witness(self, hlc: int) -> None:
        """Take note of another node's timestamp, as far as it is not too far ahead to be believed."""
        self._last = max(self._last, min(hlc, pack(self._wall() + AHEAD_MILLISECONDS)))

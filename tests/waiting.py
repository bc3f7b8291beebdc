"""Wait for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 180.0) -> T:
    """The condition's first truthy value; AssertionError without one. The time is generous: it only ends a hang."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"still not true after {timeout} s: {condition}"
        time.sleep(0.01)
    return value

"""What two texts have in common at both ends, and what stands between. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(a: Sequence[str], b: Sequence[str]) -> int:
    """How many characters, or lines, two texts share at their start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(a: Sequence[str], b: Sequence[str], limit: int) -> int:
    """How many characters, or lines, at most `limit`, two texts share at their end."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def middles(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """Lengths of the common start and of the common end, which do not overlap."""
    start = common_prefix(a, b)
    return start, common_suffix(a, b, min(len(a), len(b)) - start)


def addition(old: str, new: str) -> str:
    """What `new` has in place of what `old` has there, without the blanks around."""
    start, end = middles(old, new)
    return new[start : len(new) - end].strip()


def changed(old: str, new: str) -> int:
    """How many characters stand between what two texts have in common at both ends: in the longer one."""
    return max(len(old), len(new)) - sum(middles(old, new))

"""Places in an ordered list as strings, so that two nodes can insert apart and still agree (fractional indexing).

A key is an integer part and a fraction, in base 62. The integer part's first digit tells its length, so appending
makes keys no longer: `a0 < a1 < … < az < b00 < …`, and before `a0` comes `Zz`. Some random digits end each key, so
that two nodes hardly ever choose the same one. Method: rocicorp/fractional-indexing, Evan Wallace (Figma).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE = len(DIGITS)
_ZERO = "a0"
# As many as there are of three digits, the last one not `0`.
_JITTERS = _BASE * _BASE * (_BASE - 1)
_LONGEST = 1 << 16

# Integer parts as far from the ends as nobody's appends will ever come.
_KEY = re.compile(r"[B-Za-y][0-9A-Za-z]+")


def between(before: str | None, after: str | None) -> str:
    """A key greater than `before` and less than `after`; None is the open end. Equal neighbours: behind `before`."""
    if before is None and after is None:
        return _ZERO + _jitter()
    if after is None:
        assert before is not None
        return _increment(_integer(before)) + _jitter()
    if before is None:
        return _before(after)
    if before >= after:
        return before + _jitter()
    return _inside(before, after) + _jitter()


def is_key(key: str) -> bool:
    """Whether `between` can work with it: a key of another node may be anything."""
    if not _KEY.fullmatch(key) or len(key) > _LONGEST:
        return False
    length = _integer_length(key[0])
    return len(key) == length or (len(key) > length and not key.endswith(DIGITS[0]))


def sequence(before: str | None, after: str | None, count: int) -> Iterator[str]:
    """`count` increasing keys between the two."""
    for _ in range(count):
        before = between(before, after)
        yield before


def _jitter() -> str:
    """Random digits; the last one is never `0`, so there is always room in front of a key."""
    number, last = divmod(int(random.random() * _JITTERS), _BASE - 1)
    first, second = divmod(number, _BASE)
    return DIGITS[first] + DIGITS[second] + DIGITS[last + 1]


def _integer_length(head: str) -> int:
    return ord(head) - ord("a") + 2 if head >= "a" else ord("Z") - ord(head) + 2


def _integer(key: str) -> str:
    return key[: _integer_length(key[0])]


def _increment(integer: str) -> str:
    if integer[-1] != DIGITS[-1]:
        return integer[:-1] + DIGITS[DIGITS.index(integer[-1]) + 1]
    digits = list(integer[1:])
    for i in reversed(range(len(digits))):
        value = DIGITS.index(digits[i]) + 1
        if value < _BASE:
            digits[i] = DIGITS[value]
            return integer[0] + "".join(digits)
        digits[i] = DIGITS[0]
    return _longer(integer[0], digits)


def _longer(head: str, digits: list[str]) -> str:
    """The integer after the last one that starts with `head`."""
    if head == "Z":
        return _ZERO
    following = chr(ord(head) + 1)
    return following + DIGITS[0] * (_integer_length(following) - 1)


def _decrement(integer: str) -> str:
    digits = list(integer[1:])
    for i in reversed(range(len(digits))):
        value = DIGITS.index(digits[i]) - 1
        if value >= 0:
            digits[i] = DIGITS[value]
            return integer[0] + "".join(digits)
        digits[i] = DIGITS[-1]
    previous = "Z" if integer[0] == "a" else chr(ord(integer[0]) - 1)
    return previous + DIGITS[-1] * (_integer_length(previous) - 1)


def _before(after: str) -> str:
    return _decrement(_integer(after)) + _jitter()


def _inside(before: str, after: str) -> str:
    low, high = _integer(before), _integer(after)
    if low == high:
        return low + _middle(before[len(low) :], after[len(high) :])
    following = _increment(low)
    return following if following < high else low + _middle(before[len(low) :], "")


def _middle(before: str, after: str) -> str:
    """A fraction strictly between two, as is every longer one that it begins; an empty `after` is one."""
    found = ""
    while True:
        common = 0
        while common < len(after) and (before[common : common + 1] or DIGITS[0]) == after[common]:
            common += 1
        found, before, after = found + after[:common], before[common:], after[common:]
        low = DIGITS.index(before[0]) if before else 0
        high = DIGITS.index(after[0]) if after else _BASE
        if high - low > 1:
            return found + DIGITS[(low + high) // 2]
        found, before, after = found + DIGITS[low], before[1:], ""

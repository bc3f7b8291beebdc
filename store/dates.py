"""Dates and stretches of time named in a query; pure, English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_MONTHS = "january february march april may june july august september october november december".split()
_SHORT = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH_OF = {name: i for names in (_MONTHS, _SHORT) for i, name in enumerate(names, start=1)} | {"sept": 9}
# "may" and "march" are months only where a number or a word of time stands beside them, or written large.
_MONTH = r"(?P<month>(?i:" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + r"))\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)\b",
        rf"\b{_DAY}\s+(?:of\s+)?{_MONTH},?(?:\s+{_YEAR})?\b",
        rf"\b{_MONTH}\s+{_DAY}\b(?!\d),?(?:\s+{_YEAR})?\b",
        rf"\b{_MONTH},?(?:\s+of)?\s+{_YEAR}\b",
        rf"\b{_YEAR}-(?P<month>\d\d)\b",
        rf"\b{_MONTH}",
        rf"\b{_YEAR}\b",
    )
)
_AGO = re.compile(r"\b(\d{1,3}|a|an|one|two|three|four|five|six)\s+(day|week|month|year)s?\s+ago\b", re.I)
_RELATIVE = re.compile(r"\b(today|yesterday|(?:this|last|past)\s+(?:week|month|year))\b", re.I)
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_MICROSECONDS = 1_000_000
_DAY_LENGTH = 86_400 * _MICROSECONDS


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until before `end` in microseconds, or, without them, a month or a day of any year."""

    start: int = 0
    end: int = 0
    month: int | None = None
    day: int | None = None

    @property
    def is_day(self) -> bool:
        """Whether it is no longer than a day."""
        return self.day is not None or 0 < self.end - self.start <= _DAY_LENGTH


def periods(text: str, now: int | None = None) -> tuple[Period, ...]:
    """Every date, month and year a text names, each once; words like "yesterday" only where `now` is given."""
    found = list(_named(text))
    if now is not None:
        found += _relative(text, datetime.fromtimestamp(now // _MICROSECONDS, UTC).date())
    return tuple(dict.fromkeys(found))


def _named(text: str) -> Iterator[Period]:
    for pattern in _PATTERNS:
        found = [period for match in pattern.finditer(text) if (period := _period(match.groupdict()))]
        if found:
            yield from found
            text = pattern.sub(_read, text)


def _read(match: re.Match[str]) -> str:
    """Nothing in the place of a date that was read; what is none stays for the next pattern."""
    return " ; " if _period(match.groupdict()) else match[0]


def _period(parts: dict[str, str | None]) -> Period | None:
    year, day = _number(parts.get("year")), _number(parts.get("day"))
    month = _month(parts.get("month"), alone=year is None and day is None)
    if parts.get("month") and month is None:
        return None
    if year is None:
        return Period(month=month, day=day)
    try:
        return _between(*_bounds(year, month, day))
    except ValueError:
        return None


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None


def _month(name: str | None, alone: bool) -> int | None:
    if name is None:
        return None
    if name.isdigit():
        return int(name)
    if alone and name.islower() and name in ("may", "march", "mar", "dec", "sep", "jan"):
        return None
    return _MONTH_OF[name.lower()]


def _bounds(year: int, month: int | None, day: int | None) -> tuple[date, date]:
    start = date(year, month or 1, day or 1)
    if day:
        return start, start + timedelta(days=1)
    if month:
        return start, date(year + month // 12, month % 12 + 1, 1)
    return start, date(year + 1, 1, 1)


def _relative(text: str, today: date) -> Iterator[Period]:
    for count, unit in _AGO.findall(text):
        number = _NUMBERS.get(count.lower()) or int(count)
        span = _DAYS[unit.lower()]
        # "Three weeks ago" is meant to the week: half a unit to either side.
        middle = today - timedelta(days=min(number * span, 36_500))
        yield _between(middle - timedelta(days=span // 2), middle + timedelta(days=span // 2 + 1))
    for words in _RELATIVE.findall(text):
        yield _between(*_relative_bounds(" ".join(words.lower().split()), today))


def _relative_bounds(words: str, today: date) -> tuple[date, date]:
    if words == "today":
        return today, today + timedelta(days=1)
    if words == "yesterday":
        return today - timedelta(days=1), today
    back = 0 if words.startswith("this") else 1
    if words.endswith("week"):
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return monday, monday + timedelta(days=7)
    if words.endswith("month"):
        month = today.year * 12 + today.month - 1 - back
        return _bounds(month // 12, month % 12 + 1, None)
    return _bounds(today.year - back, None, None)


def _between(start: date, end: date) -> Period:
    return Period(_microseconds(start), _microseconds(end))


def _microseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY_LENGTH

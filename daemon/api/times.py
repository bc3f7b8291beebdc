"""Times as callers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hiveminddb.errors import InvalidInput

_SHAPE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)[ ]?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
# A dated heading and a file name carry four digits; time zones may shift a time over the last year's end.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


def parse_time(text: str, where: str) -> datetime:
    """A time in UTC from RFC 3339 text, a date alone, or a time without zone (taken as UTC)."""
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise _not_a_time(text, where)
    date, time, zone = found.groups()
    zone = "" if zone is None or zone in ("Z", "z", "UTC") else zone
    try:
        parsed = datetime.fromisoformat(f"{date}T{time or '00:00'}{zone}")
    except ValueError as error:
        raise _not_a_time(text, where, str(error)) from error
    if not _FIRST_YEAR <= parsed.year <= _LAST_YEAR:
        raise _not_a_time(text, where, f"the year must be between {_FIRST_YEAR} and {_LAST_YEAR}")
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _not_a_time(text: str, where: str, why: str = "") -> InvalidInput:
    message = f"{where}: not a time: {text[:60]!r}" + (f" ({why})" if why else "")
    return InvalidInput(message, "write it as 2026-03-01T12:00:00Z, or 2026-03-01 for the start of that day in UTC")

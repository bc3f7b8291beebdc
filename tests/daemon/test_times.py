from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.daemon.api.times import parse_time
from hiveminddb.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T12:30:00Z", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("2026-03-01t12:30:00z", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("2026-03-01 12:30:00 UTC", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("2026-03-01T12:30", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("2026-03-01T12:30:00.123456789+02:00", datetime(2026, 3, 1, 10, 30, 0, 123456, tzinfo=UTC)),
        ("2026-03-01T12:30:00,5-0530", datetime(2026, 3, 1, 18, 0, 0, 500000, tzinfo=UTC)),
        (" 2026-01-01T00:30:00+01 ", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_utc(text: str, time: datetime) -> None:
    assert parse_time(text, "at") == time
    assert parse_time(text, "at").tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "now", "1700000000", "2026", "2026-3-1", "2026-02-30", "2026-03-01T25:00", "2026-03-01T12:00:60Z"]
    + ["2026-03-01T12:00+99:00", "0999-12-31", "9999-01-01", "２０２６-03-01", "2026-03-01\n2026-03-02", "2026-W01-1"],
)
def test_what_is_no_time_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_time(text, "memories[3].created_at")
    assert refused.value.message.startswith("memories[3].created_at: not a time: ")
    assert "2026-03-01T12:00:00Z" in refused.value.hint


@given(st.datetimes(datetime(1001, 1, 1), datetime(9998, 1, 1)), st.integers(-839, 839))
def test_every_time_with_an_offset_comes_back_the_same(time: datetime, offset: int) -> None:
    there = time.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_time(there.isoformat(), "at") == there


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        assert parse_time(text, "at").tzinfo is UTC
    except InvalidInput:
        pass

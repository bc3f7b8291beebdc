from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest

from hiveminddb.daemon import supervision
from hiveminddb.daemon.supervision import supervised
from hiveminddb.errors import DiskFull

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.0)


async def test_a_part_that_failed_runs_again_and_only_what_nobody_designed_leaves_a_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = iter([DiskFull("no room", "free some"), ValueError("odd")])
    third = asyncio.Event()

    async def part() -> None:
        for failure in failures:
            raise failure
        third.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(supervised("mirror", part))
        await third.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    designed, odd = caplog.records
    assert "reason=no room (free some)" in designed.getMessage() and designed.exc_info is None
    assert odd.exc_info and odd.exc_info[0] is ValueError

"""Parts that the daemon can be without for a while are started again when they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hiveminddb.errors import HiveMindError

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

# A part that ran this long before it failed is not failing again and again.
STEADY_SECONDS = 60.0


def unforeseen(error: BaseException) -> BaseException | None:
    """The error where a log needs its trace: one that nobody has designed."""
    return None if isinstance(error, HiveMindError) else error


async def supervised(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Runs the part for ever; what it raises is logged, and it starts again after a pause that doubles."""
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while True:
        started = loop.time()
        try:
            await part()
        except Exception as error:
            log.error("part failed part=%s again_in=%.1fs reason=%s", name, pause, error, exc_info=unforeseen(error))
        if loop.time() - started > STEADY_SECONDS:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)

"""Short tasks that a callback starts and nobody waits for: owned, so that a stop ends them and an error is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from hiveminddb.errors import HiveMindError

log = logging.getLogger(__name__)


class Errands:
    """Open inside `async with`; what is asked for after the end is not done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def run(self, errand: Coroutine[Any, Any, None]) -> None:
        """Starts it."""
        if not self._open:
            errand.close()
            return
        task = asyncio.create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, HiveMindError):
            log.warning("errand failed reason=%s", error)
        else:
            log.error("errand failed", exc_info=error)

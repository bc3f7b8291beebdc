"""A real database of which one answer comes late, so that a later question could overtake it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import apsw

from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction
from tests.sync.meeting import until

T = TypeVar("T")
Look = Callable[[], Coroutine[Any, Any, None]]


class Hampered(Database):
    """The next answer to one query is held back after `hold`, until `release`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._gate = asyncio.Event()
        self._held: object = None
        self.has_answer = False

    def hold(self, query: Callable[[apsw.Connection], object]) -> None:
        """Applies to one answer."""
        self._held = query

    async def overtaken(self, look: Look, between: Callable[[Transaction], None]) -> None:
        """Looks before the write and once more after it; the first look has read, and ends last if it can."""
        earlier = asyncio.create_task(look())
        await until(lambda: self.has_answer)
        await self.write(between)
        later = asyncio.create_task(look())
        # Whether it waits for the earlier one or overtakes it, it has begun by then.
        await asyncio.wait([later], timeout=0.1)
        self._gate.set()
        await asyncio.gather(earlier, later)

    async def read(self, query: Callable[[apsw.Connection], T]) -> T:
        held = query is self._held
        if held:
            self._held = None
        answer = await super().read(query)
        if held:
            self.has_answer = True
            await self._gate.wait()
        return answer

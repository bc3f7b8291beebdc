"""What happens when a transaction is durable: the search index follows, and then whoever has work to do is woken."""

from __future__ import annotations

import asyncio

from hiveminddb.daemon.pipeline import Put
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.tails import Tails
from hiveminddb.store.index import Entry


class Bell:
    """An event that the writer's thread may ring."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits; from any thread."""
        if not self._event.is_set():
            self._loop.call_soon_threadsafe(self._event.set)

    def sound(self) -> None:
        """The same on the loop's own thread, at once."""
        self._event.set()

    async def heard(self, seconds: float) -> bool:
        """True when it rang since the last time, False when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Chime:
    """Bells that a commit rings, all with one call to the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bells: list[Bell] = []
        self._asked = False

    def add(self, *bells: Bell) -> None:
        """These ring too."""
        self._bells += bells

    def ring(self, _n: int) -> None:
        """Called on the writer's thread with the newest change, once its callers have been answered."""
        if not self._asked:
            self._asked = True
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._asked = False
        for bell in self._bells:
            bell.sound()


class Commits:
    """Called on the writer's thread with the rows a durable transaction put, before its callers are answered."""

    def __init__(self, in_use: IndexInUse, tails: Tails) -> None:
        self._in_use = in_use
        self._tails = tails

    def committed(self, put: Put) -> None:
        self._in_use.index.apply([Entry.of(row, row.slot) for row in put.rows if row.indexed], put.retired)
        self._tails.committed(put.rows, put.places, put.left)

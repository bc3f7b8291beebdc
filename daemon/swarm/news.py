"""Waiting until something is true that others make true: whoever changes anything tells, whoever waits looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class News:
    """Told on the loop."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Whether the condition came true in that time; it is asked at first, and after all news."""
        try:
            async with asyncio.timeout(seconds):
                following = self._next
                while not await condition():
                    await following.wait()
                    following = self._next
        except TimeoutError:
            return False
        return True

"""What is to be done, and when. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Agenda:
    """Topics to settle and the moment each is due."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._in_hand = set[str]()

    def __contains__(self, topic: str) -> bool:
        """Whether a topic is to be settled, or being settled."""
        return topic in self._due or topic in self._in_hand

    def add(self, topics: Iterable[str], delay: float = 0.0) -> None:
        """Settle these after the delay, or earlier where that was asked for already."""
        at = time.monotonic() + delay
        for topic in topics:
            self._due[topic] = min(at, self._due.get(topic, at))

    @contextmanager
    def taken(self, limit: int, delay: float) -> Iterator[list[str]]:
        """What is due now, and is again after the delay where that fails what is done with it."""
        now = time.monotonic()
        ready = [topic for topic, at in self._due.items() if at <= now][:limit]
        for topic in ready:
            del self._due[topic]
        self._in_hand = {*ready}
        try:
            yield ready
        except BaseException:
            self.add(ready, delay)
            raise
        finally:
            self._in_hand = set()

    def wait(self, longest: float) -> float:
        """Seconds until something is due, at most `longest`."""
        return max(0.0, min((at - time.monotonic() for at in self._due.values()), default=longest))

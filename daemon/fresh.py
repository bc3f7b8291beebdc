"""This node's newest changes, in memory for whoever brings them into the order: it need not ask the database."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from threading import Lock

from hiveminddb.model import Change, NodeId

# What they may weigh together; those before are read from the database.
MOST_BYTES = 256 * 1024


class Fresh:
    """Consecutive changes of one origin, all durable; put on the writer's thread, read on any."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: deque[Change] = deque()
        self._bytes = 0

    def put(self, made: Sequence[Change]) -> None:
        """Keeps these, and forgets the oldest where it is too much."""
        with self._lock:
            for change in made:
                self._put(change)

    def following(self, origin: NodeId, counter: int) -> list[Change] | None:
        """Those after a counter, none where it is the newest; None where this does not say."""
        with self._lock:
            if not self._kept or self._kept[0].origin != origin:
                return None
            at = counter + 1 - self._kept[0].counter
            return list(islice(self._kept, at, None)) if 0 <= at <= len(self._kept) else None

    def _put(self, change: Change) -> None:
        last = self._kept[-1] if self._kept else None
        if last and (last.origin, last.counter + 1) != (change.origin, change.counter):
            self._kept.clear()
            self._bytes = 0
        self._kept.append(change)
        self._bytes += len(change.update)
        while self._kept and self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popleft().update)

"""Who waits for a change to have its place in the order."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from hiveminddb.model import NodeId
from hiveminddb.store.commits import Run

# The position, or None: it has one, which the database tells.
Answer = asyncio.Future[int | None]


class Queue:
    """Those who wait, by origin and counter."""

    def __init__(self) -> None:
        self._waiting: dict[NodeId, list[tuple[int, int, Answer]]] = {}
        self._ticket = itertools.count()

    def join(self, origin: NodeId, counter: int) -> Answer:
        """The answer for this change; who waits no longer cancels it."""
        answer: Answer = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting.setdefault(origin, []), (counter, next(self._ticket), answer))
        return answer

    def placed(self, run: Run) -> None:
        """These changes have these positions; who waits for one before them came too late to hear of its own."""
        waiting, late = self._waiting.get(run.origin, []), []
        while waiting and waiting[0][0] < run.counter + run.count:
            counter, _, answer = one = heapq.heappop(waiting)
            if counter < run.counter:
                late.append(one)
            elif not answer.done():
                answer.set_result(run.seq + counter - run.counter)
        for one in late:
            heapq.heappush(waiting, one)

    def reached(self, origin: NodeId, counter: int) -> None:
        """All changes of an origin up to this one can be looked up in the database."""
        waiting = self._waiting.get(origin, [])
        while waiting and waiting[0][0] <= counter:
            answer = heapq.heappop(waiting)[2]
            if not answer.done():
                answer.set_result(None)

"""Adds of many callers written together: whatever waits when the writer comes round becomes one bulk add."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from hiveminddb.daemon.authoring import add_drafts, title_of
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.usecases import Receipt
from hiveminddb.errors import HiveMindError, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store.database import Database
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.vault.topics import Topics

# Callers that may wait at once: more are told to come again.
MOST_WAITING = 4096


@dataclass(frozen=True, slots=True)
class AddedRows:
    """The rows of one caller's drafts, the counter of the last change that made them, and what that has."""

    rows: Sequence[MemoryRow]
    counter: int
    receipt: Receipt


@dataclass(eq=False, slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    answer: asyncio.Future[AddedRows]


class _Turn:
    """What the writer took in one go, and the way back to each who waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[], list[_Waiting]]) -> None:
        self._loop, self._take = loop, take
        self.taken: list[_Waiting] = []

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def done(self) -> bool:
        return False

    def set_result(self, answers: Sequence[AddedRows], /) -> None:
        for item, answer in zip(self.taken, answers, strict=True):
            if not item.answer.done():
                item.answer.set_result(answer)

    def set_exception(self, exception: BaseException, /) -> None:
        for item in self.taken or self._take():
            if not item.answer.done():
                item.answer.set_exception(exception)


class Adding:
    """Hands drafts to the writer; a draft that cannot be written is refused before it waits with others."""

    def __init__(self, database: Database, pipeline: Pipeline, topics: Topics) -> None:
        self._database, self._pipeline, self._topics = database, pipeline, topics
        self._waiting: deque[_Waiting] = deque()
        # Set on the loop when a turn is asked for, cleared on the writer's thread when it takes what waits.
        self._asked = False

    async def add(self, drafts: Sequence[Draft]) -> AddedRows:
        """The rows once they are durable, in the order of the drafts; InvalidInput names a topic that cannot be one."""
        now = datetime.now(UTC)
        for title in {title_of(draft, now) for draft in drafts}:
            self._topics.resolve(title)
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(f"too many adds wait: {MOST_WAITING}", "try again in a moment")
        loop = asyncio.get_running_loop()
        item = _Waiting(drafts, loop.create_future())
        self._waiting.append(item)
        if not self._asked:
            self._asked = True
            self._ask(_Turn(loop, self._take))
        return await item.answer

    def _ask(self, turn: _Turn) -> None:
        try:
            self._database.post(partial(self._write, turn.taken), turn)
        except HiveMindError as error:
            turn.set_exception(error)

    def _take(self) -> list[_Waiting]:
        self._asked = False
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def _write(self, taken: list[_Waiting], tx: Transaction) -> list[AddedRows]:
        taken += self._take()
        rows = add_drafts(tx, self._pipeline, self._topics, [draft for item in taken for draft in item.drafts])
        node = self._pipeline.origin
        # Heads of new topics come first.
        end = tx.next_counter(node) - 1 - len(rows)
        answers, at = [], 0
        for item in taken:
            mine = rows[at : at + len(item.drafts)]
            at += len(mine)
            answers.append(AddedRows(mine, end + at, receipt(tx, node, end + at)))
        return answers


def receipt(tx: Transaction, node: NodeId, counter: int) -> Receipt:
    """What this node's changes up to a counter have."""
    if tx.order.ordered.get(node, 0) < counter:
        return Receipt("pending", None)
    return Receipt("committed", tx.order.seq_of(node, counter))

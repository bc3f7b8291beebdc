"""Adds of many callers written together: whatever waits when the writer comes round becomes one bulk add."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from hiveminddb.daemon.authoring import add_drafts, title_of
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.errors import HiveMindError, Unavailable
from hiveminddb.store.database import Database
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.vault.topics import Topics

# Callers that may wait at once: more are told to come again.
MOST_WAITING = 4096


@dataclass(frozen=True, slots=True)
class AddedRows:
    """The rows of one caller's drafts, and the last position of the order that they took."""

    rows: Sequence[MemoryRow]
    seq: int


@dataclass(eq=False, slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    answer: asyncio.Future[AddedRows]


class Adding:
    """Hands drafts to the writer; a draft that cannot be written is refused before it waits with others."""

    def __init__(self, database: Database, pipeline: Pipeline, topics: Topics) -> None:
        self._database, self._pipeline, self._topics = database, pipeline, topics
        self._waiting: deque[_Waiting] = deque()
        self._turns: set[asyncio.Task[None]] = set()
        # Set on the loop when a turn is asked for, cleared on the writer's thread when it takes what waits.
        self._asked = False

    async def add(self, drafts: Sequence[Draft]) -> AddedRows:
        """The rows once they are durable, in the order of the drafts; InvalidInput names a topic that cannot be one."""
        now = datetime.now(UTC)
        for draft in drafts:
            self._topics.resolve(title_of(draft, now))
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(f"too many adds wait: {MOST_WAITING}", "try again in a moment")
        item = _Waiting(drafts, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if not self._asked:
            self._asked = True
            turn = asyncio.create_task(self._turn())
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)
        return await item.answer

    async def _turn(self) -> None:
        taken: list[_Waiting] = []
        try:
            answers = await self._database.write(partial(self._write, taken))
        except HiveMindError as error:
            for item in taken or self._take():
                if not item.answer.done():
                    item.answer.set_exception(error)
            return
        for item, answer in zip(taken, answers, strict=True):
            if not item.answer.done():
                item.answer.set_result(answer)

    def _take(self) -> list[_Waiting]:
        self._asked = False
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def _write(self, taken: list[_Waiting], tx: Transaction) -> list[AddedRows]:
        taken += self._take()
        rows = add_drafts(tx, self._pipeline, self._topics, [draft for item in taken for draft in item.drafts])
        # Heads of new topics come first in the order.
        end = tx.seq - len(rows)
        answers, at = [], 0
        for item in taken:
            mine = rows[at : at + len(item.drafts)]
            at += len(mine)
            answers.append(AddedRows(mine, end + at))
        return answers

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hiveminddb.daemon.adding import AddedRows, Adding, receipt
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.usecases import Receipt
from hiveminddb.errors import InvalidInput, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store import changes
from hiveminddb.store.database import Database
from tests.daemon.paper import Paper
from tests.store.making import share

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def adding(folder: Path) -> AsyncIterator[tuple[Adding, Database]]:
    async with Database(folder / "hivemind.db") as database:
        paper = Paper(database)
        yield Adding(database, paper.pipeline, paper.topics), database


async def test_everyone_who_adds_at_once_gets_their_own_rows_and_places(tmp_path: Path) -> None:
    async with adding(tmp_path) as (it, database):
        drafts = [[Draft(f"{caller}-{n}", topic=f"t{caller % 3}") for n in range(caller % 4)] for caller in range(60)]
        answers = await asyncio.gather(*(it.add(mine) for mine in drafts))
        for mine, answer in zip(drafts, answers, strict=True):
            assert [row.content for row in answer.rows] == [draft.content for draft in mine]
            # Nothing has no place where nothing was written before.
            assert answer.receipt.status == "committed" and (answer.receipt.seq or 0) == answer.counter
            for place, row in enumerate(reversed(answer.rows)):
                (made,) = await database.read(lambda db, row=row: changes.changes_of(db, row.id))  # type: ignore[misc]
                assert made.counter == answer.counter - place


async def test_what_is_added_while_others_have_a_say_is_pending(tmp_path: Path) -> None:
    async with adding(tmp_path) as (it, database):
        first = await it.add([Draft("a", topic="t")])
        assert (first.counter, first.receipt) == (2, Receipt("committed", 2))
        await database.write(share)
        both = await asyncio.gather(
            it.add([Draft("b", topic="t"), Draft("c", topic="t")]), it.add([Draft("d", topic="t")])
        )
        assert [answer.receipt for answer in both] == [Receipt("pending", None)] * 2 and both[1].counter == 5
        assert await database.write(lambda tx: receipt(tx, NodeId("node"), 2)) == Receipt("committed", 2)
        await database.write(lambda tx: tx.decide_alone())
        assert await database.write(lambda tx: receipt(tx, NodeId("node"), 5)) == Receipt("committed", 5)


async def test_a_topic_that_cannot_be_one_fails_its_caller_alone(tmp_path: Path) -> None:
    async with adding(tmp_path) as (it, _):
        good, bad, other = await asyncio.gather(
            it.add([Draft("a", topic="fine")]),
            it.add([Draft("b", topic="bell\x07")]),
            it.add([Draft("c", topic="fine too")]),
            return_exceptions=True,
        )
        assert isinstance(bad, InvalidInput) and "control characters" in bad.message
        assert isinstance(good, AddedRows) and isinstance(other, AddedRows)


async def test_adds_after_the_end_are_told_so(tmp_path: Path) -> None:
    async with adding(tmp_path) as (it, _):
        pass
    with pytest.raises(Unavailable):
        await it.add([Draft("late", topic="t")])

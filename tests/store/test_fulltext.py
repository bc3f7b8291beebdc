from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hiveminddb.store import fulltext
from hiveminddb.store.check import check
from hiveminddb.store.database import Database
from hiveminddb.store.index import Entry, Index
from hiveminddb.store.search import Query, search
from hiveminddb.store.transaction import Transaction
from tests.store.making import add, alter, find, found, row_of
from tests.store.searched import Searched, memory

pytestmark = pytest.mark.anyio


async def test_texts_are_put_in_once_nobody_writes(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row_of("aaaa", "apples"), row_of("bbbb", "pears")))
        await database.write(lambda tx: add(tx, row_of("cccc", "plums")))
        async with asyncio.timeout(180):
            while await database.read(fulltext.indexed_upto) < 3:
                pass
        assert await database.read(lambda c: found(c, "apples OR plums")) == ["aaaa", "cccc"]
        assert await database.read(fulltext.behind) == []


async def test_many_that_wait_are_put_in_with_the_next_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "WAITING_TEXTS", 3)
    async with Database(tmp_path / "x.db") as database:
        rows = [row_of(f"id{i:03}", "word") for i in range(3)]
        await database.write(lambda tx: add(tx, *rows))
        assert await database.read(fulltext.indexed_upto) == 3


async def test_what_is_retired_is_dropped_with_its_commit_also_when_it_still_waited(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        row = row_of("aaaa", "apples")

        def both(tx: Transaction) -> None:
            add(tx, row)
            alter(tx, row_of("aaaa", "pears"))

        await database.write(both)
        assert await database.read(lambda c: (found(c, "apples"), found(c, "pears"))) == ([], ["aaaa"])
        await database.write(lambda tx: alter(tx, replace(row, invalidated_at=1), "invalidate"))
        assert await database.read(lambda c: found(c, "apples OR pears")) == []


async def test_what_a_killed_process_left_out_is_made_up_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with Database(path) as database:
        await database.write(lambda tx: add(tx, *(row_of(f"id{i:03}", f"word{i}") for i in range(20))))
        await find(database, "word1")
        # As a kill leaves it: the index goes as far as it says, and no further.
        for statement in (
            "DELETE FROM entries WHERE rowid > 5",
            "UPDATE meta SET value = '5' WHERE key = 'fulltext_upto'",
        ):
            await database.write(lambda tx, sql=statement: tx.connection.execute(sql) and None)  # type: ignore[misc]
        assert [text for text in await database.read(fulltext.behind)][0] == (6, "word5")
        assert all(finding.ok for finding in await database.read(check))
    async with Database(path) as database:
        assert await database.read(lambda c: found(c, "word4 OR word5 OR word19")) == ["id004", "id005", "id019"]
        assert await database.read(fulltext.indexed_upto) == 20


def test_a_search_finds_the_same_before_and_after_texts_are_put_in(tmp_path: Path) -> None:
    store = Searched()
    texts = ("red apples fall", "apples that are red", "the red apples", "pears", "a ma_in function")
    transaction = Transaction(store.connection)
    with store.connection:
        rows = [memory(f"id{i}", text, position=f"a{i}") for i, text in enumerate(texts)]
        slots = transaction.put_new(rows, range(1, 6))
    store.index.apply([Entry.of(row, slot) for row, slot in zip(rows, slots, strict=True)])
    queries = [Query(text, explain=True) for text in ('"red apples"', "red apples", "ma_in", '"apples red"', '"pears"')]
    before = [search(store.connection, store.index, query) for query in queries]
    assert before[0].hits[0].why is not None
    with store.connection:
        transaction.flush_index()
    assert fulltext.indexed_upto(store.connection) == 5
    assert [search(store.connection, store.index, query) for query in queries] == before
    assert [search(store.connection, Index.load(store.connection), query) for query in queries] == before

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hiveminddb.errors import InvalidInput, StorageError, Unavailable
from hiveminddb.store import changes, commits
from hiveminddb.store.database import POST_LIMIT, WRITE_LIMIT, Connection, Database
from hiveminddb.store.memories import memory
from hiveminddb.store.schema import open_reader
from hiveminddb.store.transaction import Transaction
from tests.store.making import add, alter, find, row_of
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio


def post(database: Database, work: Callable[[Transaction], Any]) -> asyncio.Future[Any]:
    """The outcome of a work that is in the queue when this returns."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    database.post(work, answer)
    return answer


async def test_a_database_that_is_not_open_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    with pytest.raises(Unavailable, match="not open"):
        await database.read(lambda c: None)
    with pytest.raises(Unavailable, match="not open"):
        post(database, lambda tx: None)


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        pass
    with pytest.raises(Unavailable):
        post(database, lambda tx: None)


async def test_what_was_written_is_read_at_once_and_after_reopening(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row_of("abcd", "hello")))
        row = await database.read(lambda c: memory(c, "abcd"))
        assert row is not None and row.content == "hello"
    async with Database(tmp_path / "x.db") as database:
        assert await database.read(lambda c: memory(c, "abcd")) == row


async def test_a_work_that_raises_is_undone_and_harms_no_other_of_its_batch(tmp_path: Path) -> None:
    def failing(tx: Transaction) -> None:
        add(tx, row_of("bad0", "poison"))
        tx.after_commit(lambda: told.append("bad0"))
        raise InvalidInput("no")

    def working(tx: Transaction, id: str) -> None:
        tx.after_commit(lambda: told.append(id))
        add(tx, row_of(id, id))

    told: list[str] = []
    async with Database(tmp_path / "x.db") as database:
        gate = threading.Event()
        waiting = post(database, lambda tx: gate.wait(30) and None)
        post(database, partial(working, id="good1"))
        bad = post(database, failing)
        post(database, partial(working, id="good2"))
        gate.set()
        await waiting
        with pytest.raises(InvalidInput):
            await bad
    async with Database(tmp_path / "x.db") as database:
        assert told == ["good1", "good2"]
        assert await database.read(lambda c: [memory(c, id) is not None for id in ("good1", "bad0", "good2")]) == [
            True,
            False,
            True,
        ]
        assert await find(database, "poison OR good1 OR good2") == ["good1", "good2"]
        # The numbers of the work undone were given out again: no gap.
        assert await database.read(commits.last_seq) == await database.read(changes.last_change) == 2


async def test_a_statement_sqlite_refuses_fails_its_own_work_only(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row_of("same", "first")))
        with pytest.raises(StorageError, match="UNIQUE"):
            await database.write(lambda tx: add(tx, row_of("same", "second")))
        await database.write(lambda tx: add(tx, row_of("next", "third")))
        assert await find(database, "first OR second OR third") == ["next", "same"]


async def test_callbacks_run_after_the_commit_in_order_and_before_the_caller_is_answered(tmp_path: Path) -> None:
    seen: list[object] = []

    def look(label: str) -> None:
        seen.append((label, other.execute("SELECT count(*) FROM changes").get))

    def work(tx: Transaction) -> None:
        add(tx, row_of("aaaa", "x"))
        tx.after_commit(lambda: look("first"))
        tx.after_commit(lambda: look("second"))

    async with Database(tmp_path / "x.db", on_commit=seen.append) as database:
        other = await asyncio.to_thread(open_reader, tmp_path / "x.db")
        await database.write(work)
        assert seen[:2] == [("first", 1), ("second", 1)]
        # Whoever has work to do for it is told after the caller.
        await database.write(lambda tx: None)
        assert seen == [("first", 1), ("second", 1), 1]
        await database.write(lambda tx: None)
        assert seen == [("first", 1), ("second", 1), 1]
        other.close()


async def test_a_callback_that_raises_does_not_make_a_commit_undone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def work(tx: Transaction) -> int:
        add(tx, row_of("aaaa", "x"))
        tx.after_commit(lambda: 1 // 0)  # type: ignore[arg-type]
        return 7

    async with Database(tmp_path / "x.db") as database:
        assert await database.write(work) == 7
        assert await database.read(changes.last_change) == 1
    assert "after_commit_failed" in caplog.text


async def test_readers_do_not_wait_for_the_writer(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        gate = threading.Event()

        def slow(tx: Transaction) -> None:
            add(tx, row_of("aaaa", "x"))
            assert gate.wait(30)

        writing = asyncio.ensure_future(database.write(slow))
        try:
            assert await database.read(changes.last_change) == 0
        finally:
            gate.set()
        await writing
        assert await database.read(changes.last_change) == 1


async def test_a_read_sees_one_moment(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Database(tmp_path / "x.db") as database:

        def twice(connection: Connection) -> tuple[int, int]:
            before = changes.last_change(connection)
            asyncio.run_coroutine_threadsafe(database.write(lambda tx: add(tx, row_of("aaaa", "x"))), loop).result(30)
            return before, changes.last_change(connection)

        assert await database.read(twice) == (0, 0)
        assert await database.read(changes.last_change) == 1


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        with pytest.raises(StorageError):
            await database.read(lambda c: c.execute("DELETE FROM meta"))


async def test_the_queue_is_bounded_and_writes_wait_their_turn(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        gate = threading.Event()
        blocking = post(database, lambda tx: gate.wait(30) and None)
        waiting = [asyncio.ensure_future(database.write(lambda tx: tx.counters.n)) for _ in range(WRITE_LIMIT * 3)]
        await asyncio.sleep(0)
        posted = [post(database, lambda tx: tx.counters.n)]
        with pytest.raises(Unavailable, match="too many"):
            for _ in range(POST_LIMIT):
                posted.append(post(database, lambda tx: tx.counters.n))
        assert WRITE_LIMIT // 2 < len(posted) <= POST_LIMIT
        gate.set()
        await blocking
        assert await asyncio.gather(*waiting, *posted) == [0] * (len(waiting) + len(posted))


async def test_a_full_queue_refuses_no_write(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        taken, gate = threading.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            taken.set()
            gate.wait(30)

        blocking = post(database, hold)
        await asyncio.to_thread(taken.wait, 30)
        posted = [post(database, lambda tx: tx.counters.n) for _ in range(POST_LIMIT)]
        write = asyncio.ensure_future(database.write(lambda tx: tx.counters.n))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(blocking, write, *posted) == [None] + [0] * (1 + POST_LIMIT)


async def test_a_caller_who_stops_waiting_harms_nobody(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        gate = threading.Event()
        blocking = post(database, lambda tx: gate.wait(30) and None)
        leaving = asyncio.ensure_future(database.write(lambda tx: add(tx, row_of("aaaa", "x"))))
        staying = asyncio.ensure_future(database.write(lambda tx: add(tx, row_of("bbbb", "y"))))
        await asyncio.sleep(0)
        leaving.cancel()
        gate.set()
        await blocking
        await staying
        assert await database.read(changes.last_change) == 2


async def test_closing_commits_what_was_queued(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        rows = [row_of(f"id{i:04}", "x") for i in range(500)]
        queued = [post(database, partial(alter, row=row)) for row in rows]
    assert all(future.done() for future in queued)
    assert not (tmp_path / "x.db-wal").exists()
    async with Database(tmp_path / "x.db") as database:
        assert await database.read(changes.last_change) == 500


async def test_the_log_is_folded_back_while_nobody_writes(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        before = (tmp_path / "x.db").stat().st_size
        rows = [row_of(f"id{i:05}", "word " * 200) for i in range(3000)]
        await database.write(lambda tx: add(tx, *rows))
        await asyncio.to_thread(wait_until, lambda: (tmp_path / "x.db").stat().st_size > before)
        assert database.size_bytes() > before

"""One SQLite file: one writer with group commit, readers that never wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import apsw

from hiveminddb.errors import Unavailable
from hiveminddb.store import fulltext, schema
from hiveminddb.store.failures import translated, translating
from hiveminddb.store.fulltext import Waiting
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.writer import Answer, Job, OnCommit, Writer

T = TypeVar("T")

# For those who write queries elsewhere and must not know which library runs them.
Connection = apsw.Connection

# Readers at once: queries are short, and more threads than cores only take turns.
READERS = 4
# Reads that may wait: beyond, callers are told to come again.
READ_LIMIT = 1024
# Writes in the writer's queue: beyond, they wait their turn before it.
WRITE_LIMIT = 512
# Works in the queue, writes and posted ones: beyond, those who post are told to come again. Writes alone never fill it.
POST_LIMIT = 2 * WRITE_LIMIT


class Database:
    """The database, open inside `async with`; `on_commit` is called on the writer's thread with the newest change.

    It is called once those who wait for that change have been answered.
    """

    def __init__(self, path: Path | str, on_commit: OnCommit | None = None) -> None:
        self.path = Path(path)
        self._on_commit = on_commit
        self._writer: Writer | None = None
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._reads = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(WRITE_LIMIT)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        try:
            self._writer = await self._loop.run_in_executor(self._pool, self._open)
        except BaseException:
            await asyncio.to_thread(self._close)
            raise
        self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._close)
        self._writer = None

    def _open(self) -> Writer:
        with translating(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            schema.refuse_foreign(self.path)
            connection = schema.open_writer(self.path)
            self._connections.append(connection)
            schema.migrate(connection)
            waiting = Waiting.of(fulltext.catch_up(connection))
            return Writer(connection, self.path, self._on_commit, waiting)

    def _close(self) -> None:
        self._pool.shutdown()
        # The writer's last, so that it folds the log into the file.
        for connection in reversed(self._connections):
            connection.close()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """The work's result once it is on the disk; waits its turn while many do. Cancelling does not undo it."""
        async with self._room:
            answer: asyncio.Future[T] = self._loop.create_future()
            self._writing().enqueue(Job(work, answer))
            return await answer

    def post(self, work: Callable[[Transaction], Any], answer: Answer) -> None:
        """Queues the work at once, from the loop's thread; Unavailable when too many wait."""
        writer = self._writing()
        if writer.queued >= POST_LIMIT:
            raise Unavailable(f"too many writes wait: {POST_LIMIT}", "try again in a moment")
        writer.enqueue(Job(work, answer))

    def _writing(self) -> Writer:
        if self._writer is None:
            raise Unavailable(f"the database is not open: {self.path}", "use it inside `async with`")
        return self._writer

    async def read(self, query: Callable[[apsw.Connection], T]) -> T:
        """The query's result, from one consistent moment, on a reader's thread."""
        self._writing()
        if self._reads >= READ_LIMIT:
            raise Unavailable(f"too many reads wait: {READ_LIMIT}", "try again in a moment")
        self._reads += 1
        try:
            return await self._loop.run_in_executor(self._pool, self._read, query)
        finally:
            self._reads -= 1

    def _read(self, query: Callable[[apsw.Connection], T]) -> T:
        try:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return query(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise translated(error, self.path) from error

    def _reader(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            self._writing().standing.check()
            connection = self._local.connection = schema.open_reader(self.path)
            self._connections.append(connection)
        return connection

    @property
    def sole(self) -> bool:
        """Whether this node alone decided the order, as of the last commit."""
        return self._writing().sole

    @property
    def alone(self) -> bool:
        """Whether one node, this or another, gives positions without steps."""
        return self._writing().alone

    def size_bytes(self) -> int:
        """The bytes the database takes on the disk, its log included."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

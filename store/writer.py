"""The one thread that writes: takes all that waits, commits it in one transaction, then answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Protocol

import apsw

from hiveminddb.errors import StorageError, Unavailable
from hiveminddb.store import changes, commits
from hiveminddb.store.counters import Counters
from hiveminddb.store.failures import translated
from hiveminddb.store.fulltext import MANY_TEXTS, Waiting
from hiveminddb.store.standing import Standing
from hiveminddb.store.transaction import Transaction

logger = logging.getLogger(__name__)

Work = Callable[[Transaction], Any]
OnCommit = Callable[[int], None]

# As many works as share one commit: bounds what a failing disk takes with it, and the wait of the first.
BATCH_LIMIT = 256

# Frames of 4 KB in the log: copied back when nobody waits, or at the latest when the log has grown to 32 MB.
_CHECKPOINT_IDLE = 1000
_CHECKPOINT_BUSY = 8000
_IDLE_SECONDS = 0.05


class Answer(Protocol):
    """Who is told of an outcome on a loop's thread; a future of asyncio is one."""

    def get_loop(self) -> asyncio.AbstractEventLoop: ...

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


@dataclass(slots=True)
class Job:
    """A work and where its outcome goes, where anybody waits for it."""

    work: Work
    answer: Answer | None
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        """Hands over the outcome, to whoever has not stopped waiting."""
        if self.answer is None or self.answer.done():
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)


class Writer:
    """Owns the writing connection; `start` and `stop` once each."""

    def __init__(self, connection: apsw.Connection, path: Path, on_commit: OnCommit | None, waiting: Waiting) -> None:
        self._connection = connection
        self._path = path
        self.standing = Standing(path)
        self._on_commit = on_commit
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._door = Lock()
        self._closed = False
        self._counters: Counters | None = None
        self._waiting = waiting
        self._rested = True
        self.sole, self.alone = commits.sole(connection), commits.alone(connection)
        self._told = changes.last_change(connection)
        self._log_frames = 0
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        connection.set_wal_hook(self._grown)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for everything queued to be committed and answered; later works are refused."""
        with self._door:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def enqueue(self, job: Job) -> None:
        """Queues a work, of which the caller bounds how many wait; Unavailable when the database is closed."""
        with self._door:
            if self._closed:
                raise Unavailable("the database is closed", "start the daemon again")
            self._queue.put(job)

    @property
    def queued(self) -> int:
        """As many works as wait to be taken."""
        return self._queue.qsize()

    def _run(self) -> None:
        going = True
        while going:
            batch = self._take()
            going = None not in batch
            if jobs := [job for job in batch if job is not None]:
                self._commit(jobs)
            if len(self._waiting.texts) >= MANY_TEXTS or (not jobs and not self._rested):
                self._index()
            if self._log_frames >= (_CHECKPOINT_BUSY if jobs else _CHECKPOINT_IDLE):
                self._checkpoint()

    def _take(self) -> list[Job | None]:
        batch: list[Job | None] = []
        wait = None if self._rested and self._log_frames < _CHECKPOINT_IDLE else _IDLE_SECONDS
        with suppress(Empty):
            batch.append(self._queue.get(timeout=wait))
            while len(batch) < BATCH_LIMIT and batch[-1] is not None:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, jobs: list[Job]) -> None:
        try:
            callbacks = self._transact(jobs)
        except (apsw.Error, OSError, StorageError) as error:
            self._fail(jobs, error if isinstance(error, StorageError) else translated(error, self._path), error)
            self._answer(jobs)
        else:
            self._after(callbacks)
            self._answer(jobs)
            self._tell()

    def _transact(self, jobs: list[Job]) -> list[Callable[[], None]]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        tx = Transaction(connection, self._counters, self._waiting)
        for job in jobs:
            self._attempt(tx, job)
        if tx.fulltext.due:
            tx.flush_index()
        self.standing.check()
        connection.execute("COMMIT")
        self._counters, self._waiting = tx.counters, tx.fulltext.waiting
        self._rested = not self._waiting.texts
        self.sole, self.alone = tx.order.sole, tx.order.alone
        return tx.committed()

    def _attempt(self, tx: Transaction, job: Job) -> None:
        try:
            job.result = tx.run(job.work)
        except apsw.Error as error:
            job.error = translated(error, self._path)
            job.error.__cause__ = error
            if not self._connection.in_transaction:
                raise
        except BaseException as error:  # whatever a work raises is its caller's to see
            job.error = error

    def _fail(self, jobs: list[Job], reason: StorageError, cause: Exception) -> None:
        """Nothing of the batch is kept, and everyone is told."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._counters = None
        logger.error("event=commit_failed works=%d reason=%s", len(jobs), reason.message)
        for job in jobs:
            if job.error is None:
                job.error = type(reason)(reason.message, reason.hint)
                job.error.__cause__ = cause

    def _after(self, callbacks: list[Callable[[], None]]) -> None:
        for callback in callbacks:
            try:
                callback()
            except Exception:  # the commit stands whatever a listener makes of it
                logger.exception("event=after_commit_failed")

    def _tell(self) -> None:
        """Whoever has work to do for what is new comes after those who wait for an answer."""
        counters = self._counters
        if self._on_commit is not None and counters is not None and counters.n > self._told:
            self._told = counters.n
            self._after([partial(self._on_commit, counters.n)])

    def _answer(self, jobs: list[Job]) -> None:
        waiting: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            if job.answer is not None:
                waiting.setdefault(job.answer.get_loop(), []).append(job)
        for loop, answered in waiting.items():
            loop.call_soon_threadsafe(_resolve, answered)

    def _index(self) -> None:
        """Nobody waits: the texts that do are put into the full-text index."""
        self._commit([Job(Transaction.flush_index, None)])
        # Once, also when it failed: the next commit that succeeds asks for it again.
        self._rested = True

    def _grown(self, _connection: apsw.Connection, _name: str, frames: int) -> int:
        self._log_frames = frames
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        started = time.perf_counter()
        try:
            frames, copied = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            logger.warning("event=checkpoint_failed error=%s", error)
            frames = copied = 0
        self._log_frames = 0
        logger.debug("event=checkpoint frames=%d copied=%d s=%.3f", frames, copied, time.perf_counter() - started)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        job.resolve()

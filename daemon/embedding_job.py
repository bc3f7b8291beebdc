"""Fills in vectors behind the writes: takes marks from the outbox, embeds, stores, and shows the index.

The write path never waits for this. What is not yet embedded is found by its words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.embedding.embedder import Embedder, Vectors
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.supervision import supervised
from hiveminddb.errors import Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store import changes, memories, outbox, vectors
from hiveminddb.store.cues import embedding_text
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.outbox import Mark
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vectors import ActiveModel, Living

log = logging.getLogger(__name__)

# Texts embedded between two transactions: a second of work or two, so that a crash repeats little.
BATCH = 32

# Memories marked at once when another model's vectors are to be made.
AT_ONCE = 1024

# Under which name the database keeps the setting of the model in use, to open it again while another is taking over.
SETTING = "vectors.setting"

# How long to rest when the model is away or nothing rings.
PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Task:
    mark: Mark
    origin: NodeId
    text_hash: bytes
    text: str


@dataclass(frozen=True, slots=True)
class _Work:
    tasks: Sequence[_Task]
    # Marks that need no model: the text has vectors already, or the memory is no longer searched.
    settled: Sequence[Mark]


class Exchange(Protocol):
    """The nodes that make vectors, too."""

    def waits_for(self, origin: NodeId, n: int) -> bool:
        """Whether the text that change `n` of that node made is left to it for the time being."""
        ...

    def made(self, model: str, passages: Iterable[tuple[bytes, Vectors]]) -> None:
        """Vectors that were made here, for whoever wants them."""
        ...


class EmbeddingJob:
    """Runs inside `async with`; `idle` tells when everything written so far has vectors."""

    def __init__(
        self, database: Database, in_use: IndexInUse, embedder: Embedder, setting: str, bell: Bell, exchange: Exchange
    ) -> None:
        self._database, self._in_use, self._embedder, self._bell = database, in_use, embedder, bell
        self._exchange = exchange
        self._setting = setting
        # Texts the model could not take: they are not asked for again.
        self._set_aside: set[bytes] = set()
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(supervised("embedding job", self._run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def task(self) -> asyncio.Task[None]:
        """The task, for whoever supervises it."""
        assert self._task is not None
        return self._task

    async def idle(self) -> None:
        """Returns once nothing waits for vectors, or at once where no model will make any."""
        async with self._progress:
            while self._embedder.state.name not in ("off", "broken") and await self._database.read(_waiting):
                self._bell.ring()
                await self._progress.wait()

    @property
    def model(self) -> str:
        """The model whose vectors are made here, empty while there is none."""
        return self._embedder.model_id if self._embedder.dim is not None else ""

    @property
    def dimensions(self) -> int | None:
        """The length of its vectors."""
        return self._embedder.dim

    async def keep(self, made: Sequence[tuple[bytes, Vectors]]) -> None:
        """Vectors that another node has made with the same model, by the hash of their text."""

        def store(tx: Transaction) -> None:
            for text_hash, passages in made:
                if vectors.stored(tx.connection, text_hash, self.model) is None:
                    self._show(tx, vectors.put(tx.connection, text_hash, self.model, passages), passages)

        await self._database.write(store)
        self._bell.ring()

    async def _run(self) -> None:
        after: Mark | None = None
        while True:
            if not await self._ready():
                await self._pause()
                continue
            work = await self._database.read(partial(_next_work, after, self._embedder.model_id))
            if not work.tasks and not work.settled:
                after = None
                await self._complete()
                await self._pause()
                continue
            after = max((*work.settled, *(task.mark for task in work.tasks)), key=lambda mark: mark.n)
            work = self._own_part(work)
            try:
                found = await self._embedder.embed_texts([task.text for task in work.tasks])
            except Unavailable:
                after = None
                await self._pause()
                continue
            if work.tasks or work.settled:
                await self._database.write(partial(self._store, work, found))
            made = zip(work.tasks, found, strict=True)
            self._exchange.made(self.model, [(task.text_hash, it) for task, it in made if len(it)])
            await self._tell()

    def _own_part(self, work: _Work) -> _Work:
        """Without the texts whose vectors another node is about to send."""
        return _Work([it for it in work.tasks if not self._exchange.waits_for(it.origin, it.mark.n)], work.settled)

    async def _pause(self) -> None:
        await self._tell()
        await self._bell.heard(PAUSE_SECONDS)

    async def _tell(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    async def _ready(self) -> bool:
        """Whether the model can be asked; the first one ever is put to use at once."""
        dimensions = self._embedder.dim
        if self._embedder.state.name != "ready" or dimensions is None:
            return False
        if await self._database.read(vectors.active) is None:
            await self._turn_to(ActiveModel(self._embedder.model_id, dimensions))
        return True

    async def _complete(self) -> None:
        """Where another model's vectors still serve: turn to the present model once its vectors are all there."""
        in_use, dimensions = await self._database.read(vectors.active), self._embedder.dim
        if in_use is None or dimensions is None or in_use.model == self._embedder.model_id:
            return
        if await self._database.write(self._mark_missing):
            self._bell.ring()
        else:
            await self._turn_to(ActiveModel(self._embedder.model_id, dimensions))

    def _mark_missing(self, tx: Transaction) -> int:
        lacking = vectors.missing(tx.connection, self._embedder.model_id, AT_ONCE)
        wanted = [memory for memory in lacking if memory.text_hash not in self._set_aside]
        for memory in wanted:
            tx.mark("embed", memory.id, memory.n)
        return len(wanted)

    async def _turn_to(self, model: ActiveModel) -> None:
        def turn(tx: Transaction) -> None:
            vectors.activate(tx.connection, model)
            tx.set_meta(SETTING, self._setting)
            living = vectors.load(tx.connection)
            tx.after_commit(lambda: self._show_all(model, living))

        await self._database.write(turn)
        log.info("vectors model=%s dimensions=%d", model.model, model.dimensions)

    def _show_all(self, model: ActiveModel, living: Living | None) -> None:
        self._in_use.index.use_vectors(model.dimensions, living)
        self._in_use.model = model.model

    def _store(self, work: _Work, found: Sequence[Vectors], tx: Transaction) -> None:
        for task, passages in zip(work.tasks, found, strict=True):
            if len(passages):
                slots = vectors.put(tx.connection, task.text_hash, self._embedder.model_id, passages)
                self._show(tx, slots, passages)
            else:
                self._set_aside.add(task.text_hash)
            tx.unmark("embed", task.mark.key, task.mark.n)
        for mark in work.settled:
            self._attach(tx, mark)
            tx.unmark("embed", mark.key, mark.n)

    def _attach(self, tx: Transaction, mark: Mark) -> None:
        row = tx.memory(mark.key)
        if row is not None and row.indexed:
            vectors.detach(tx.connection, [row.slot])
            passages = vectors.attach(tx.connection, row.slot, row.text_hash)
            if passages is not None:
                self._show(tx, (row.slot,), passages)

    def _show(self, tx: Transaction, slots: Sequence[int], passages: Vectors) -> None:
        def show() -> None:
            for slot in slots:
                self._in_use.index.put_vectors(slot, passages)

        tx.after_commit(show)


def _waiting(connection: Connection) -> bool:
    return outbox.pending_count(connection, "embed") > 0


def _next_work(after: Mark | None, model: str, connection: Connection) -> _Work:
    marks = outbox.pending(connection, "embed", BATCH, after)
    rows = memories.memories(connection, [mark.key for mark in marks])
    origins = changes.origins(connection, [mark.n for mark in marks])
    tasks, settled = [], []
    for mark in marks:
        row = rows.get(mark.key)
        if row is None or not row.indexed or vectors.stored(connection, row.text_hash, model) is not None:
            settled.append(mark)
        else:
            tasks.append(_Task(mark, origins[mark.n], row.text_hash, embedding_text(row.content, row.speaker)))
    return _Work(tasks, settled)

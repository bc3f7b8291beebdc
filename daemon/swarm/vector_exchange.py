"""Vectors made once and shared: a node pushes those of its own texts, and asks for those of others before it makes any.

They are side records, keyed by the text's hash and the model: no order, no promise. What does not come is made here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from hiveminddb.daemon.embedding.embedder import Vectors
from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm.knowledge import Courier
from hiveminddb.model import NodeId
from hiveminddb.store import outbox, vectors
from hiveminddb.store.database import Connection, Database
from hiveminddb.sync import antientropy
from hiveminddb.sync.antientropy import Passages, WantVectors, decode, encode

log = logging.getLogger(__name__)

# Texts asked for at a time, and how long until the next, where something was answered and where nothing was.
ASK_SECONDS = 0.5
# A text written elsewhere is embedded here once its node has had so long for it.
PATIENCE_SECONDS = 15.0
MOST_REMEMBERED = 50_000
# What one message carries at most, in bytes of vectors.
MESSAGE_BYTES = 1024 * 1024

FLOAT_BYTES = 4


class Keeper(Protocol):
    """Who keeps vectors: the embedding job."""

    @property
    def model(self) -> str:
        """The model whose vectors are made here, empty while there is none."""
        ...

    @property
    def dimensions(self) -> int | None: ...

    async def keep(self, made: Sequence[tuple[bytes, Vectors]]) -> None:
        """Stores passages by the hash of their text, and shows them to searches."""
        ...


class VectorExchange:
    """Open inside `async with`; one cursor a peer goes through the texts that lack vectors."""

    def __init__(self, me: NodeId, database: Database, courier: Courier) -> None:
        self._me, self._database, self._courier = me, database, courier
        self._keeper: Keeper | None = None
        self._cursors: dict[NodeId, int] = {}
        self._patience: dict[int, float] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(supervised("vector exchange", self._run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def serve(self, keeper: Keeper) -> None:
        """Begins, once there is somebody who keeps vectors."""
        self._keeper = keeper

    def peer_up(self, node: NodeId) -> None:
        """A link is there: it may have what is lacking here."""
        self._cursors[node] = 0

    def peer_down(self, node: NodeId) -> None:
        """The link is gone."""
        self._cursors.pop(node, None)

    def waits_for(self, origin: NodeId, n: int) -> bool:
        """Whether the text that change `n` of that node made is left to it for the time being."""
        if origin == self._me or origin not in self._courier.connected():
            return False
        now = asyncio.get_running_loop().time()
        if len(self._patience) > MOST_REMEMBERED:
            self._patience = {n: until for n, until in self._patience.items() if until > now}
        return self._patience.setdefault(n, now + PATIENCE_SECONDS) > now

    def made(self, model: str, passages: Iterable[tuple[bytes, Vectors]]) -> None:
        """Vectors that were made here, for whoever wants them."""
        peers = self._courier.connected()
        for payload in _messages(model, passages) if peers else ():
            for node in peers:
                self._courier.send(node, payload)

    async def received(self, node: NodeId, payload: bytes) -> None:
        """A message of a linked node; InvalidFrame where it is none."""
        match decode(payload):
            case antientropy.Vectors() as said:
                await self._keep(node, said)
            case WantVectors() as wanted:
                await self._answer(node, wanted)
            case _:
                pass

    async def _keep(self, node: NodeId, said: antientropy.Vectors) -> None:
        keeper = self._keeper
        if keeper is None or said.model != keeper.model or keeper.dimensions is None:
            return
        if found := [it for one in said.passages if (it := _matrix(one, keeper.dimensions)) is not None]:
            await keeper.keep(found)
            await self._ask(node, said.model)

    async def _answer(self, node: NodeId, wanted: WantVectors) -> None:
        found = await self._database.read(partial(_stored, wanted))
        for payload in _messages(wanted.model, found):
            if not self._courier.send(node, payload):
                return

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ASK_SECONDS)
            if not (self._keeper and self._keeper.model and self._cursors):
                continue
            if await self._database.read(_lacks_some):
                for node in list(self._cursors):
                    await self._ask(node, self._keeper.model)

    async def _ask(self, node: NodeId, model: str) -> None:
        after = self._cursors.get(node)
        lacking = [] if after is None else await self._database.read(partial(_lacking, model, after))
        hashes = [text_hash for _, text_hash in lacking]
        if hashes and node in self._cursors and self._courier.send(node, encode(WantVectors(model, hashes))):
            self._cursors[node] = lacking[-1][0]


def _messages(model: str, passages: Iterable[tuple[bytes, Vectors]]) -> Iterable[bytes]:
    portion: list[Passages] = []
    room = MESSAGE_BYTES
    for text_hash, matrix in passages:
        rows = [np.asarray(row, "<f4").tobytes() for row in np.atleast_2d(matrix)]
        room -= sum(map(len, rows))
        if portion and (room < 0 or len(portion) == antientropy.MOST_HASHES):
            yield encode(antientropy.Vectors(model, portion))
            portion, room = [], MESSAGE_BYTES - sum(map(len, rows))
        portion.append(Passages(text_hash, rows))
    if portion:
        yield encode(antientropy.Vectors(model, portion))


def _matrix(said: Passages, dimensions: int) -> tuple[bytes, Vectors] | None:
    """The passages of a text; None where they cannot be vectors of this model."""
    if not 0 < len(said.rows) <= vectors.PASSAGES or {len(row) for row in said.rows} != {dimensions * FLOAT_BYTES}:
        return None
    matrix = np.frombuffer(b"".join(said.rows), "<f4").astype(np.float32).reshape(len(said.rows), dimensions)
    return (said.text_hash, matrix) if np.isfinite(matrix).all() else None


def _lacks_some(connection: Connection) -> bool:
    """Whether a text waits for vectors, which is quicker to see than which of them."""
    return bool(outbox.pending(connection, "embed", 1))


def _lacking(model: str, after: int, connection: Connection) -> list[tuple[int, bytes]]:
    return vectors.lacking(connection, model, after, antientropy.MOST_HASHES) if _lacks_some(connection) else []


def _stored(wanted: WantVectors, connection: Connection) -> list[tuple[bytes, Vectors]]:
    found = ((key, vectors.stored(connection, key, wanted.model)) for key in wanted.hashes)
    return [(key, matrix) for key, matrix in found if matrix is not None]

"""Keeps this node and those it is linked with at the same changes: says what it has, answers, pulls what it lacks.

One task a peer and one request under way at a time, so that memory stays bounded however much is missing; of peers that
have the same one is asked, and the next where that one is slow. What has been applied is the state of a pull: a link
that breaks is taken up where it broke.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm.standing import epoch_of
from hiveminddb.model import NodeId
from hiveminddb.store import changes, commits
from hiveminddb.store.database import Connection, Database
from hiveminddb.sync import antientropy
from hiveminddb.sync.antientropy import Batch, Have, Run, Want, decode, encode, sent

log = logging.getLogger(__name__)

# Every link tells what its node has this often, give or take half, should anything else have been missed.
TELL_SECONDS = 10.0
# Changes are told of after this: soon where nothing else carries them, else so that peers know how far this node is.
SOON_SECONDS = 0.02
LATER_SECONDS = 1.0
# A peer that was asked and says nothing is asked again.
ANSWER_SECONDS = 15.0
# After this a peer counts as slow, and another that has as much is asked as well.
SLOW_SECONDS = 1.0


class Courier(Protocol):
    """Who carries messages to peers; False where one is not linked or cannot take more now."""

    def send(self, peer: NodeId, payload: bytes) -> bool: ...

    def connected(self) -> frozenset[NodeId]: ...


@dataclass(slots=True)
class _Peer:
    """What is known of a linked node, and what it waits for; of each kind the newest message counts."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    has: Have | None = None
    wants: Want | None = None
    batch: Batch | None = None
    asked_until: float = 0.0
    is_applying: bool = False
    look_at: float = 0.0
    task: asyncio.Task[None] | None = None


Take = Callable[[Batch], Awaitable[None]]


class Told(Mapping[NodeId, Have]):
    """What linked nodes last said they have; follows."""

    def __init__(self, peers: Mapping[NodeId, _Peer]) -> None:
        self._peers = peers

    def __getitem__(self, node: NodeId) -> Have:
        has = self._peers[node].has
        if has is None:
            raise KeyError(node)
        return has

    def __iter__(self) -> Iterator[NodeId]:
        return iter([node for node, peer in self._peers.items() if peer.has])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Knowledge:
    """Open inside `async with`; links tell of peers and hand over what they say."""

    def __init__(
        self, database: Database, take: Take, courier: Courier, bell: Bell, origin: Callable[[], NodeId]
    ) -> None:
        self._database, self._take, self._courier, self._bell, self._origin = database, take, courier, bell, origin
        self._peers: dict[NodeId, _Peer] = {}
        self.told = Told(self._peers)
        self._tasks: list[asyncio.Task[None]] = []
        # Whether peers learn of changes by being told here, because no order carries them.
        self.is_carrier: Callable[[], bool] = lambda: True
        # Whom to tell that a peer has said what it has.
        self.on_told: Callable[[], None] = lambda: None
        # Whom to tell that a peer has more of this node's own changes than itself.
        self.on_outdated: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(supervised("knowledge", self._tell_all))]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = self._tasks + [peer.task for peer in self._peers.values() if peer.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks, for whoever supervises them."""
        return self._tasks

    def peer_up(self, node: NodeId) -> None:
        """A link is there: both tell each other what they have."""
        self.peer_down(node)
        peer = self._peers[node] = _Peer()
        peer.task = asyncio.create_task(supervised(f"knowledge {node}", partial(self._attend, node, peer)))

    def peer_down(self, node: NodeId) -> None:
        """The link is gone, and what was under way with it."""
        peer = self._peers.pop(node, None)
        if peer and peer.task:
            peer.task.cancel()

    def received(self, node: NodeId, payload: bytes) -> None:
        """A message of a linked node; InvalidFrame where it is none."""
        peer, message = self._peers.get(node), decode(payload)
        if peer is None:
            return
        match message:
            case Have():
                peer.has = message
                self.on_told()
            case Want():
                peer.wants = message
                # What it has it tells with that, too.
                peer.has = Have(message.vector, message.ordered, message.epoch)
                self.on_told()
            case Batch():
                peer.batch = message
            case _:
                return
        peer.wake.set()

    async def _tell_all(self) -> None:
        while True:
            rang = await self._bell.heard(TELL_SECONDS * random.uniform(0.5, 1.5))
            if rang:
                await asyncio.sleep(SOON_SECONDS if self.is_carrier() else LATER_SECONDS)
            if self._peers:
                payload = encode(Have(*await self._database.read(_known)))
                for node in self._peers:
                    self._courier.send(node, payload)

    async def _attend(self, node: NodeId, peer: _Peer) -> None:
        self._courier.send(node, encode(Have(*await self._database.read(_known))))
        while True:
            await _woken(peer)
            await self._answer(node, peer)
            await self._apply(node, peer)
            await self._ask(node, peer)

    async def _answer(self, node: NodeId, peer: _Peer) -> None:
        wanted, peer.wants = peer.wants, None
        if wanted is not None:
            self._courier.send(node, encode(await self._database.read(partial(_batch, wanted))))

    async def _apply(self, node: NodeId, peer: _Peer) -> None:
        batch, peer.batch = peer.batch, None
        if batch is None:
            return
        peer.asked_until, peer.is_applying = 0.0, True
        try:
            await self._take(batch)
        finally:
            peer.is_applying = False
        log.debug("batch taken from=%s changes=%d runs=%d", node, len(batch.changes), len(batch.runs))
        if batch.more:
            await self._want(node, peer)

    async def _ask(self, node: NodeId, peer: _Peer) -> None:
        now = asyncio.get_running_loop().time()
        has, origin = peer.has, self._origin()
        peer.look_at = 0.0
        if has is None or peer.asked_until > now:
            return
        vector, ordered, epoch = await self._database.read(_known)
        if has.vector.get(origin, 0) > vector.get(origin, 0):
            self.on_outdated()
        if antientropy.lacks(vector, has.vector) or (has.epoch == epoch and has.ordered > ordered):
            if self._is_brought(has, now):
                peer.look_at = now + SLOW_SECONDS
            else:
                await self._want(node, peer)

    def _is_brought(self, wanted: Have, now: float) -> bool:
        """Whether a peer that has as much has been asked just now, or what it sent is being taken in."""
        asking = (
            peer
            for peer in self._peers.values()
            if peer.is_applying or now < peer.asked_until - ANSWER_SECONDS + SLOW_SECONDS
        )
        return any(peer.has is not None and antientropy.covers(peer.has, wanted) for peer in asking)

    async def _want(self, node: NodeId, peer: _Peer) -> None:
        # At once: others look whether somebody is being asked.
        peer.asked_until = asyncio.get_running_loop().time() + ANSWER_SECONDS
        if not self._courier.send(node, encode(Want(*await self._database.read(_known)))):
            peer.asked_until = 0.0


async def _woken(peer: _Peer) -> None:
    """Something came, the answer that is waited for has not, or it is time to look whether others have brought it."""
    try:
        async with asyncio.timeout_at(min((at for at in (peer.asked_until, peer.look_at) if at), default=None)):
            await peer.wake.wait()
    except TimeoutError:
        peer.asked_until = peer.asked_until if peer.asked_until > asyncio.get_running_loop().time() else 0.0
    peer.wake.clear()


def _known(connection: Connection) -> tuple[dict[NodeId, int], int, str]:
    return changes.version_vector(connection), commits.known_upto(connection), epoch_of(connection)


def _batch(wanted: Want, connection: Connection) -> Batch:
    found, more = changes.changes_after(connection, wanted.vector, antientropy.BATCH_BYTES)
    epoch = epoch_of(connection)
    # A consensus formed anew may have given positions anew.
    runs = commits.runs_after(connection, wanted.ordered, antientropy.MOST_RUNS) if wanted.epoch == epoch else []
    carried = [Run(run.seq, run.origin, run.counter, run.count) for run in runs]
    return Batch([sent(change) for change in found], carried, more or len(runs) == antientropy.MOST_RUNS, epoch)

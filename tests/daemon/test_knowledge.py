"""Nodes that tell each other what they have: real databases, messages handed over in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.swarm import knowledge
from hiveminddb.daemon.swarm.knowledge import Knowledge
from hiveminddb.model import NodeId
from hiveminddb.store import changes
from hiveminddb.store.database import Database
from hiveminddb.sync.antientropy import Batch, Want, decode, received
from tests.daemon.stepping import NODES, absorb, change
from tests.sync.meeting import until

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = map(NodeId, NODES)


@dataclass
class Post:
    """Carries what one node sends; `lost` says of which nodes nothing arrives, `carried` what did."""

    me: NodeId
    nodes: dict[NodeId, Knowledge]
    lost: set[NodeId]
    carried: list[tuple[NodeId, NodeId, object]] = field(default_factory=list)

    def send(self, peer: NodeId, payload: bytes) -> bool:
        message = decode(payload)
        if not (self.me in self.lost and isinstance(message, Batch)):
            self.carried.append((self.me, peer, message))
            asyncio.get_running_loop().call_soon(self.nodes[peer].received, self.me, payload)
        return True

    def connected(self) -> frozenset[NodeId]:
        return frozenset(self.nodes)


@dataclass
class Meeting:
    databases: dict[NodeId, Database]
    nodes: dict[NodeId, Knowledge]
    lost: set[NodeId]
    carried: list[tuple[NodeId, NodeId, object]]

    def link(self, *pairs: tuple[NodeId, NodeId]) -> None:
        for a, b in pairs:
            self.nodes[a].peer_up(b)
            self.nodes[b].peer_up(a)

    async def reaches(self, node: NodeId, vector: dict[NodeId, int]) -> None:
        async with asyncio.timeout(180):
            while await self.databases[node].read(changes.version_vector) != vector:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def meeting(folder: Path) -> AsyncIterator[Meeting]:
    found = Meeting({}, {}, set(), [])
    async with AsyncExitStack() as stack:
        for me in (ONE, TWO, THREE):
            database = found.databases[me] = await stack.enter_async_context(Database(folder / f"{me}.db"))

            async def take(batch: Batch, database: Database = database) -> None:
                await database.write(lambda tx: absorb(tx, [received(one) for one in batch.changes]))

            post = Post(me, found.nodes, found.lost, found.carried)
            found.nodes[me] = Knowledge(database, take, post, Bell(), lambda me=me: me)  # type: ignore[misc]
        for node in found.nodes.values():
            await stack.enter_async_context(node)
        yield found


def asked(carried: list[tuple[NodeId, NodeId, object]]) -> set[NodeId]:
    """Whom the first node has asked for what it lacks."""
    return {to for sender, to, message in carried if sender == ONE and isinstance(message, Want)}


async def test_of_two_peers_that_have_the_same_one_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "SLOW_SECONDS", 60.0)
    async with meeting(tmp_path) as it:
        for node in (TWO, THREE):
            await it.databases[node].write(lambda tx: absorb(tx, [change(NODES[1], n) for n in range(1, 50)]))
        it.link((ONE, TWO), (ONE, THREE))
        await until(lambda: it.nodes[ONE].told.keys() == {TWO, THREE})
        await it.reaches(ONE, {TWO: 49})
        assert len(asked(it.carried)) == 1


async def test_where_the_one_that_is_asked_is_slow_the_next_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "SLOW_SECONDS", 0.05)
    async with meeting(tmp_path) as it:
        for node in (TWO, THREE):
            await it.databases[node].write(lambda tx: absorb(tx, [change(NODES[1], 1)]))
        it.lost.add(TWO)
        it.link((ONE, TWO))
        await until(lambda: asked(it.carried) == {TWO})
        it.link((ONE, THREE))
        await it.reaches(ONE, {TWO: 1})
        assert asked(it.carried) == {TWO, THREE}


async def test_a_peer_that_has_more_is_asked_while_another_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "SLOW_SECONDS", 60.0)
    async with meeting(tmp_path) as it:
        for node, count in ((TWO, 1), (THREE, 2)):
            await it.databases[node].write(
                lambda tx, count=count: absorb(tx, [change(NODES[1], n + 1) for n in range(count)])  # type: ignore[misc]
            )
        it.lost.add(TWO)
        it.link((ONE, TWO), (ONE, THREE))
        await it.reaches(ONE, {TWO: 2})

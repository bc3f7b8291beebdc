from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import Changes
from hiveminddb.daemon.swarm.ordering import Ordering
from hiveminddb.model import NodeId
from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.antientropy import Vector
from tests.daemon.stepping import NODES, absorb, change

pytestmark = pytest.mark.anyio

ME, VOTER, LEARNER = map(NodeId, NODES)


class Around:
    """Three linked nodes, of which two vote; who leads can be said."""

    def __init__(self, me: NodeId, leads: bool) -> None:
        self._me, self._leads = me, leads
        self.proposed: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    def origin(self) -> NodeId:
        return self._me

    def has_quorum(self) -> bool:
        return True

    def leads(self) -> bool:
        return self._leads

    def voters(self) -> frozenset[NodeId]:
        return frozenset({ME, VOTER})

    def vectors(self) -> Mapping[NodeId, Vector]:
        return {node: {} for node in (ME, VOTER, LEARNER) if node != self._me}

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109
        carried = commands.decode(command)
        assert isinstance(carried, Changes)
        for one in carried.changes:
            self.proposed.put_nowait((one.origin, one.counter))
        return 1


async def proposed_by(me: NodeId, leads: bool, path: Path, count: int) -> set[tuple[str, int]]:
    """What a node proposes first, where each of the three has two changes without a place."""

    def prepare(tx: Transaction) -> None:
        tx.set_sole(False)
        for origin in (ME, VOTER, LEARNER):
            absorb(tx, [change(origin, 1), change(origin, 2)])

    around = Around(me, leads)
    async with Database(path / "x.db") as database:
        await database.write(prepare)
        async with Ordering(me, database, around, around, Bell()), asyncio.timeout(180):
            return {await around.proposed.get() for _ in range(count)}


async def test_a_leader_proposes_its_own_changes_and_those_of_nodes_that_do_not_vote(tmp_path: Path) -> None:
    expected = {(ME, 1), (ME, 2), (LEARNER, 1), (LEARNER, 2)}
    assert await proposed_by(ME, True, tmp_path, 4) == expected


async def test_a_voter_that_does_not_lead_proposes_its_own_alone(tmp_path: Path) -> None:
    assert await proposed_by(VOTER, False, tmp_path, 2) == {(VOTER, 1), (VOTER, 2)}

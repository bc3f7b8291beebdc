from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.fresh import Fresh
from hiveminddb.daemon.swarm import commands, ordering
from hiveminddb.daemon.swarm.commands import Changes, Order
from hiveminddb.daemon.swarm.ordering import Ordering
from hiveminddb.errors import HiveMindError, OutcomeUnknown
from hiveminddb.model import Change, NodeId
from hiveminddb.store import commits
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.antientropy import Vector
from tests.daemon.hampered import Hampered
from tests.daemon.stepping import NODES, absorb, change
from tests.store.making import share

pytestmark = pytest.mark.anyio

ME, VOTER, LEARNER = map(NodeId, NODES)


class Around:
    """Three linked nodes, of which two vote; who leads can be said."""

    def __init__(self, me: NodeId, leads: bool) -> None:
        self._me, self._leads = me, leads
        self.kept = Fresh()
        self.proposed: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.orders: asyncio.Queue[Order] = asyncio.Queue()
        self.told: dict[NodeId, Vector] = {}
        self.failure: HiveMindError | None = None
        self.state_at = 0

    def origin(self) -> NodeId:
        return self._me

    def fresh(self, origin: NodeId, counter: int) -> Sequence[Change] | None:
        return self.kept.following(origin, counter)

    def has_quorum(self) -> bool:
        return True

    def leads(self) -> bool:
        return self._leads

    def applied(self) -> int:
        return self.state_at

    def voters(self) -> frozenset[NodeId]:
        return frozenset({ME, VOTER})

    def vectors(self) -> Mapping[NodeId, Vector]:
        return {node: self.told.get(node, {}) for node in (ME, VOTER, LEARNER) if node != self._me}

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109
        carried = commands.decode(command)
        if isinstance(carried, Order):
            self.orders.put_nowait(carried)
            return 1
        assert isinstance(carried, Changes)
        for one in carried.changes:
            self.proposed.put_nowait((one.origin, one.counter))
        if self.failure:
            raise self.failure
        return 1


async def proposed_by(me: NodeId, leads: bool, path: Path, count: int) -> set[tuple[str, int]]:
    """What a node proposes first, where each of the three has two changes without a place."""

    def prepare(tx: Transaction) -> None:
        share(tx)
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


async def test_what_is_in_memory_is_proposed_without_the_database(tmp_path: Path) -> None:
    around, bell = Around(VOTER, False), Bell()
    async with Database(tmp_path / "x.db") as database:
        await database.write(share)
        async with Ordering(VOTER, database, around, around, bell), asyncio.timeout(180):
            around.kept.put([change(VOTER, 1), change(VOTER, 2)])
            bell.ring()
            assert [await around.proposed.get() for _ in range(2)] == [(VOTER, 1), (VOTER, 2)]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "STALE_SECONDS", 0.01)


async def test_what_a_majority_has_meanwhile_is_ordered_without_its_content(tmp_path: Path, soon: None) -> None:
    around, bell = Around(VOTER, False), Bell()
    around.failure = OutcomeUnknown("nobody has answered")
    async with Database(tmp_path / "x.db") as database:
        await database.write(share)
        async with Ordering(VOTER, database, around, around, bell), asyncio.timeout(180):
            around.kept.put([change(VOTER, 1), change(VOTER, 2), change(VOTER, 3)])
            bell.ring()
            for counter in (1, 2, 3):
                assert await around.proposed.get() == (VOTER, counter)
            around.told = {ME: {VOTER: 2}}
            order = await around.orders.get()
            assert (order.origin, order.first, order.count) == (VOTER, 1, 2)


async def test_content_that_gets_no_place_travels_less_and_less_often(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "LONGEST_PAUSE", 1000.0)
    around, bell, asked = Around(VOTER, False), Bell(), asyncio.Queue[float]()
    around.failure = OutcomeUnknown("nobody has answered")
    async with Database(tmp_path / "x.db") as database:
        await database.write(share)
        async with Ordering(VOTER, database, around, around, bell) as making, asyncio.timeout(180):
            making.on_must_spread = lambda: asked.put_nowait(asyncio.get_running_loop().time())
            around.kept.put([change(VOTER, 1)])
            bell.ring()
            times = []
            for _ in range(6):
                await around.proposed.get()
                times.append(asyncio.get_running_loop().time())
            assert times[5] - times[4] >= 8 * 0.01
            assert not asked.empty()


async def test_what_is_decided_and_not_done_here_yet_is_not_proposed_again(tmp_path: Path, soon: None) -> None:
    around, bell = Around(VOTER, False), Bell()
    async with Database(tmp_path / "x.db") as database:
        await database.write(share)
        async with Ordering(VOTER, database, around, around, bell), asyncio.timeout(180):
            around.kept.put([change(VOTER, 1)])
            bell.ring()
            assert await around.proposed.get() == (VOTER, 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await around.proposed.get()
            around.state_at = 1
            assert await around.proposed.get() == (VOTER, 1)


async def test_a_change_has_its_place_before_the_database_has_it(tmp_path: Path) -> None:
    around = Around(VOTER, False)
    async with Database(tmp_path / "x.db") as database:
        await database.write(share)
        async with Ordering(VOTER, database, around, around, Bell()) as ordering, asyncio.timeout(180):
            waiting = [asyncio.create_task(ordering.placed(counter, 170.0)) for counter in (2, 3)]
            await asyncio.sleep(0)
            ordering.foreseen(Run(40, VOTER, 1, 2))
            assert await waiting[0] == 41
            # The other hears of it with the database.
            await database.write(lambda tx: tx.order.take(VOTER, 1, 3))
            ordering.moved_on(VOTER, 3)
            assert await waiting[1] == 3


async def test_a_change_without_a_place_in_time_has_none(tmp_path: Path) -> None:
    around = Around(VOTER, False)
    async with Database(tmp_path / "x.db") as database:
        async with Ordering(VOTER, database, around, around, Bell()) as ordering:
            assert await ordering.placed(1, 0.0) is None
            assert await ordering.placed(1, 0.001) is None


async def test_an_order_read_before_it_was_given_up_is_not_that_of_another_swarm(tmp_path: Path) -> None:
    around = Around(VOTER, False)

    def prepare(tx: Transaction) -> None:
        share(tx)
        absorb(tx, [change(VOTER, 1), change(VOTER, 2)])
        tx.order.take(VOTER, 1, 2)

    async with Hampered(tmp_path / "x.db") as database:
        await database.write(prepare)
        async with Ordering(VOTER, database, around, around, Bell()) as ordering, asyncio.timeout(180):
            database.hold(commits.ordered_vector)
            await database.overtaken(ordering.reload, lambda tx: tx.order.leave())
            assert [await around.proposed.get() for _ in range(2)] == [(VOTER, 1), (VOTER, 2)]

"""Claims decided by real consensus, on one node and on three in one loop, with links that are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hiveminddb.daemon.swarm.claims import Claims
from hiveminddb.daemon.swarm.lease_clock import LeaseClock
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.errors import Conflict, NoQuorum, OutcomeUnknown
from hiveminddb.model import NodeId
from hiveminddb.store.database import Database
from hiveminddb.sync.raft.consensus import Consensus, View
from tests.daemon.stepping import absorb
from tests.store.making import share
from tests.sync.raft.lan import Lan, until

pytestmark = pytest.mark.anyio


@dataclass
class Node:
    consensus: Consensus
    machine: Machine
    claims: Claims
    clock: asyncio.Task[None]


@asynccontextmanager
async def swarm(folder: Path, names: str) -> AsyncIterator[tuple[Lan, dict[str, Node]]]:
    """Nodes with databases and claims on one LAN, of which any may be cut off."""
    lan = Lan(folder)
    async with AsyncExitStack() as stack:
        machines = {}
        for name in names:
            database = await stack.enter_async_context(Database(folder / f"{name}.db"))
            await database.write(share)
            machine = machines[name] = await stack.enter_async_context(Machine(database, absorb))
            lan.machines[NodeId(name)] = machine  # type: ignore[assignment]
        stack.push_async_callback(lan.stop_all)
        nodes = {}
        for name, machine in machines.items():
            consensus = await lan.start(name, names)
            clock = LeaseClock(machine._database, consensus, machine)
            consensus.on_view = _leading(clock)
            task = asyncio.create_task(clock.run())
            stack.callback(task.cancel)
            nodes[name] = Node(consensus, machine, Claims(machine._database, consensus, machine), task)
        await lan.leader()
        yield lan, nodes


def _leading(clock: LeaseClock) -> Callable[[View], None]:
    def on_view(view: View) -> None:
        clock.lead(view.role == "leader")

    return on_view


async def test_a_voter_alone_decides_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    for token in (1, 2, 3):
        async with swarm(tmp_path, "a") as (_, nodes):
            claims = nodes["a"].claims
            lease = await claims.lease("db", "me", 30)
            assert lease.token == token
            await claims.release("db", token)


async def test_a_lease_ends_by_itself_also_after_its_leader_has_gone(tmp_path: Path) -> None:
    async with swarm(tmp_path, "abc") as (lan, nodes):
        leader = await lan.leader()
        other = next(name for name in nodes if name != leader)
        await nodes[other].claims.lease("db", "me", 0.3)
        await lan.stop(leader)
        async with asyncio.timeout(180):
            while await nodes[other].claims.leases():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_node_cut_off_refuses_at_once_and_the_others_go_on(tmp_path: Path) -> None:
    async with swarm(tmp_path, "abc") as (lan, nodes):
        leader = await lan.leader()
        others = [name for name in nodes if name != leader]
        for other in others:
            lan.cut(leader, other)
        await until(lambda: not nodes[leader].consensus.view.has_quorum)
        with pytest.raises(NoQuorum):
            await nodes[leader].claims.lease("db", "cut off", 30)
        await lan.leader("".join(others))
        assert (await nodes[others[0]].claims.lease("db", "me", 30)).token == 1
        lan.mend()
        await until(lambda: nodes[leader].machine.applied >= nodes[others[0]].machine.applied)
        assert (await nodes[leader].claims.held("db")).holder == "me"


async def test_whatever_is_cut_no_two_hold_a_lease_and_all_nodes_end_the_same(tmp_path: Path) -> None:
    async with swarm(tmp_path, "abc") as (lan, nodes):
        ledger = _Ledger()
        agents = [
            asyncio.create_task(ledger.work(name, n, node.claims)) for n in range(3) for name, node in nodes.items()
        ]
        for alone in "abca":
            # The course of the faults, not a wait for anything.
            await asyncio.sleep(0.3)
            for other in "abc".replace(alone, ""):
                lan.cut(alone, other)
            await asyncio.sleep(0.5)
            lan.mend()
        await until(lambda: len(ledger.tokens) > 20)
        ledger.over = True
        await asyncio.gather(*agents)
        assert len(set(ledger.tokens)) == len(ledger.tokens)
        await until(lambda: len({node.machine.applied for node in nodes.values()}) == 1)
        assert len({(await node.machine.snapshot())[1] for node in nodes.values()}) == 1


class _Ledger:
    """Agents that all want one key; who has it, as they themselves know it."""

    def __init__(self) -> None:
        self.over = False
        self.tokens: list[int] = []
        self._holding: set[str] = set()

    async def work(self, name: str, number: int, claims: Claims) -> None:
        agent = f"{name}{number}"
        while not self.over:
            try:
                # Far longer than the test: nobody's lease ends without being released.
                lease = await claims.lease("db", agent, 600)
                assert not self._holding, f"{agent} got what {self._holding} has"
                self._holding.add(agent)
                self.tokens.append(lease.token)
                await asyncio.sleep(0)
                self._holding.remove(agent)
                await self._give_back(claims, lease.token)
            except Conflict:
                await asyncio.sleep(0.01)
            except (NoQuorum, OutcomeUnknown):
                await asyncio.sleep(0.05)

    async def _give_back(self, claims: Claims, token: int) -> None:
        while True:
            try:
                return await claims.release("db", token)
            except (NoQuorum, OutcomeUnknown):
                await asyncio.sleep(0.05)
            except Conflict:
                return None  # an attempt before has come through

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.daemon.swarm import commands, machine_state
from hiveminddb.daemon.swarm.commands import Command
from hiveminddb.daemon.swarm.frontier import Frontier
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.model import NodeId
from hiveminddb.store import commits
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.transaction import Transaction
from tests.daemon.own_log import Step
from tests.daemon.stepping import absorb, any_command, any_ordering, node, take
from tests.store.making import share

logs = st.lists(any_ordering, max_size=40) | st.lists(any_command, max_size=40)
Told = dict[tuple[NodeId, int], int]


def places(run: Run | None) -> Told:
    return {(run.origin, run.counter + i): run.seq + i for i in range(run.count)} if run else {}


def in_database(connection: Connection, told: Told) -> Told:
    found = {place: commits.seq_of(connection, *place) for place in told}
    return {place: seq for place, seq in found.items() if seq is not None}


@settings(max_examples=60)
@given(logs, st.data())
def test_the_frontier_says_of_each_step_what_the_database_says_after_it(
    log: list[Command], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    with node() as tx:
        take(tx, enumerate(log[:cut], 1))
        frontier = Frontier(tx.order.seq, tx.order.ordered, tx.order.alone)
        for step, command in enumerate(log[cut:], cut + 1):
            told, before = places(frontier.take(command)), tx.order.seq
            take(tx, [(step, command)])
            assert (frontier.seq, frontier.ordered) == (tx.order.seq, tx.order.ordered)
            assert in_database(tx.connection, told) == told
            assert sorted(told.values()) == list(range(before + 1, tx.order.seq + 1))


class Node:
    """A machine whose database may lose its power; what it told of positions is remembered beyond that."""

    def __init__(self, path: Path, log: list[Command]) -> None:
        self._path = path
        self.log = [Step(n, 1, commands.encode(command)) for n, command in enumerate(log, 1)]
        self.told: Told = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Database, Machine]]:
        async with Database(self._path) as database:
            if await database.read(commits.sole):
                await database.write(share)
            async with Machine(database, absorb) as machine:
                machine.on_placed = self._tell
                yield database, machine

    def _tell(self, run: Run) -> None:
        for place, seq in places(run).items():
            assert self.told.setdefault(place, seq) == seq


async def taken(machine: Machine, step: int) -> None:
    async with asyncio.timeout(180):
        while machine.applied < step:  # noqa: ASYNC110
            await asyncio.sleep(0)


def snapshot_at(log: list[Command], cut: int) -> bytes:
    with node() as tx:
        take(tx, enumerate(log[:cut], 1))
        return machine_state.encode(machine_state.read(tx.connection))


def truth(log: list[Command], told: Told) -> tuple[int, Told]:
    with node() as tx:
        take(tx, enumerate(log, 1))
        return tx.order.seq, in_database(tx.connection, told)


lives = st.lists(
    st.tuples(
        st.sampled_from(("deliver", "settle", "install", "aside", "power cut")), st.integers(0, 40), st.integers(0, 9)
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(logs, lives)
def test_what_is_told_stays_true_through_repeats_snapshots_and_power_cuts(
    log: list[Command], life: list[tuple[str, int, int]]
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(lived(Node(Path(folder) / "x.db", log), log, life))


async def lived(node: Node, log: list[Command], life: list[tuple[str, int, int]]) -> None:
    while life:
        async with node.running() as (database, machine):
            # After a start consensus delivers from what is durable on.
            delivered = machine.applied
            while life and life[0][0] != "power cut":
                what, upto, again = life.pop(0)
                upto = min(len(log), max(upto, delivered))
                if what == "deliver":
                    machine.deliver(node.log[max(0, delivered - again) : upto])
                    delivered = upto
                elif what == "install" and upto > delivered:
                    await machine.install(upto, 1, snapshot_at(log, upto))
                    delivered = upto
                elif what == "aside":
                    await machine.aside(nothing)
                elif what == "settle":
                    await taken(machine, delivered)
        life = life[1:]
    async with node.running() as (database, machine):
        machine.deliver(node.log[machine.applied :])
        await taken(machine, len(log))
        seq, said = truth(log, node.told)
        assert (await database.read(commits.last_seq), said) == (seq, node.told)


def nothing(tx: Transaction) -> None:
    """Changes nothing: that it may have is what counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from hiveminddb.daemon.swarm import commands, machine_state
from hiveminddb.daemon.swarm.commands import AddMember, Command, Grant, Order, Release, new_id
from hiveminddb.daemon.swarm.deciding import Result
from hiveminddb.daemon.swarm.machine import Machine, Taken
from hiveminddb.errors import DiskFull, InvalidFrame, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store import claims, commits, machine
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction
from tests.daemon.own_log import Step
from tests.daemon.stepping import NODES, absorb, change
from tests.store.making import share

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Flaky(Database):
    """A database whose disk is full for a number of writes."""

    full = 0

    async def write(self, work: Callable[[Transaction], T]) -> T:
        if self.full:
            self.full -= 1
            raise DiskFull("no space left", "make room")
        return await super().write(work)


class Slow(Database):
    """A database whose writes wait for the disk as long as wanted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.disk = asyncio.Event()
        self.disk.set()
        self.waits = 0

    async def write(self, work: Callable[[Transaction], T]) -> T:
        self.waits += not self.disk.is_set()
        await self.disk.wait()
        return await super().write(work)


async def opened(stack: AsyncExitStack, path: Path) -> tuple[Flaky, Machine]:
    database = Flaky(path)
    await stack.enter_async_context(database)
    await database.write(share)
    return database, await stack.enter_async_context(Machine(database, absorb))


def steps(first: int, *todo: Command, term: int = 1) -> list[Step]:
    return [Step(n, term, commands.encode(command)) for n, command in enumerate(todo, first)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_steps_are_durable_with_their_index_and_answer_those_who_wait(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        _, machine_ = await opened(stack, tmp_path / "x.db")
        grant = Grant(new_id(), "db", "me", 1000)
        with machine_.expecting(grant.id) as result:
            machine_.deliver(steps(1, *commands.proposals([change(NODES[0], 1)]), grant))
            assert await result == Result("done", 1)
        assert (machine_.applied, machine_.term) == (2, 1)
    async with AsyncExitStack() as stack:
        database, again = await opened(stack, tmp_path / "x.db")
        assert (again.applied, again.term) == (2, 1)
        assert [row.token for row in await database.read(claims.leases)] == [1]
        again.deliver(steps(1, *commands.proposals([change(NODES[0], 1)]), grant, Release(new_id(), "db", 1)))
        await until(lambda: again.applied == 3)
        assert await database.read(claims.leases) == []


async def test_listeners_hear_of_their_kind_once_it_can_be_read(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        _, machine_ = await opened(stack, tmp_path / "x.db")
        heard: list[tuple[str, list[int]]] = []

        def listener(kind: str) -> Callable[[Sequence[Taken]], None]:
            return lambda taken: heard.append((kind, [one.step for one in taken]))

        machine_.on_order.append(listener("order"))
        machine_.on_leases.append(listener("leases"))
        machine_.on_members.append(listener("members"))
        member = AddMember(new_id(), NODES[0], b"k" * 32, "desk", "voter")
        grants = [Grant(new_id(), key, "me", 1000) for key in "ab"]
        machine_.deliver(steps(1, *commands.proposals([change(NODES[0], 1)]), grants[0], member, grants[1]))
        await until(lambda: len(heard) == 3)
        assert sorted(heard) == [("leases", [2, 4]), ("members", [3]), ("order", [1])]


async def test_a_snapshot_makes_another_node_the_same_and_answers_whom_its_steps_would_have(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one_db, one = await opened(stack, tmp_path / "one.db")
        other_db, other = await opened(stack, tmp_path / "other.db")
        grant = Grant(new_id(), "db", "me", 1000)
        one.deliver(steps(1, *commands.proposals([change(NODES[0], 1)]), grant, term=3))
        await until(lambda: one.applied == 2)
        told: list[str] = []
        other.on_leases.append(lambda taken: told.append("leases"))
        with other.expecting(grant.id) as result:
            await other.install(2, 3, (await one.snapshot())[1])
            assert await result == Result("done", 1)
        assert (other.applied, other.term, told) == (2, 3, ["leases"])
        assert await other.snapshot() == await one.snapshot()
        assert await other_db.read(machine_state.read) == await one_db.read(machine_state.read)
        other.deliver(steps(3, Release(new_id(), "db", 1)))
        await until(lambda: other.applied == 3)


async def test_a_snapshot_that_is_none_changes_nothing(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        database, machine_ = await opened(stack, tmp_path / "x.db")
        machine_.deliver(steps(1, Grant(new_id(), "db", "me", 1000)))
        await until(lambda: machine_.applied == 1)
        for state in (b"", b"\xc0", b"\x99" + bytes(9)):
            with pytest.raises(InvalidFrame):
                await machine_.install(7, 1, state)
        assert (await database.read(machine.progress)).step == 1


async def test_a_full_disk_delays_steps_and_leaves_none_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hiveminddb.daemon.swarm.machine.RETRY_SECONDS", 0.0)
    async with AsyncExitStack() as stack:
        database, machine_ = await opened(stack, tmp_path / "x.db")
        database.full = 3
        machine_.deliver(steps(1, Grant(new_id(), "a", "me", 1000)))
        machine_.deliver(steps(2, Grant(new_id(), "b", "me", 1000)))
        await until(lambda: machine_.applied == 2)
        assert database.full == 0
        assert [row.token for row in await database.read(claims.leases)] == [1, 2]


async def test_many_steps_at_once_are_all_taken_in_their_order(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        database, machine_ = await opened(stack, tmp_path / "x.db")
        pending = [change(NODES[0], n, b"u" * 20_000) for n in range(1, 700)]
        machine_.deliver([Step(n, 1, b"") for n in range(1, 400)])
        ordering = steps(400, *commands.proposals(pending))
        machine_.deliver(ordering)
        await until(lambda: machine_.applied == ordering[-1].index)
        state = machine_state.decode((await machine_.snapshot())[1])
        assert (state.seq, state.ordered) == (699, {NODES[0]: 699})


async def test_a_step_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        database, machine_ = await opened(stack, tmp_path / "x.db")
        machine_.deliver([Step(1, 1, b"\xff"), *steps(2, Grant(new_id(), "a", "me", 1000))])
        await until(lambda: machine_.applied == 2)
        assert len(await database.read(claims.leases)) == 1


async def test_who_still_waits_when_the_daemon_stops_is_told(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        machine_ = Machine(database, absorb)
        with machine_.expecting(new_id()) as result:
            async with machine_:
                pass
            with pytest.raises(Unavailable):
                await result


@asynccontextmanager
async def foreseeing(path: Path) -> AsyncIterator[tuple[Slow, Machine, list[Run]]]:
    """A machine that has taken one step, and what it tells of positions."""
    async with Slow(path) as database:
        await database.write(share)
        async with Machine(database, absorb) as machine_:
            told: list[Run] = []
            machine_.on_placed = told.append
            machine_.deliver([Step(1, 1, b"")])
            await until(lambda: machine_.applied == 1)
            yield database, machine_, told
            database.disk.set()


def order(first: int, count: int = 1, node: str = NODES[0]) -> Order:
    return Order(new_id(), node, first, count)


async def test_a_position_is_told_while_the_disk_is_still_busy(tmp_path: Path) -> None:
    async with foreseeing(tmp_path / "x.db") as (database, machine_, told):
        database.disk.clear()
        machine_.deliver(steps(2, order(1, 2), order(4), order(1, 3), order(1, 1, NODES[1])))
        assert told == [Run(1, NodeId(NODES[0]), 1, 2), Run(3, NodeId(NODES[0]), 3, 1), Run(4, NodeId(NODES[1]), 1, 1)]
        assert machine_.applied == 1
        database.disk.set()
        await until(lambda: machine_.applied == 5)
        assert await database.read(lambda db: commits.runs_after(db, 0, 9)) == [Run(1, NodeId(NODES[0]), 1, 3), told[2]]


async def test_entries_delivered_twice_are_taken_once(tmp_path: Path) -> None:
    async with foreseeing(tmp_path / "x.db") as (database, machine_, told):
        # Taken a second time, the first would no longer lack what is before it.
        todo = steps(2, order(2), order(1), order(1, 1, NODES[1]))
        database.disk.clear()
        machine_.deliver(todo[:2])
        machine_.deliver(todo)
        database.disk.set()
        await until(lambda: machine_.applied == 4)
        runs = [Run(1, NodeId(NODES[0]), 1, 1), Run(2, NodeId(NODES[1]), 1, 1)]
        assert (told, await database.read(lambda db: commits.runs_after(db, 0, 9))) == (runs, runs)


async def test_nothing_is_foreseen_while_writes_order_themselves(tmp_path: Path) -> None:
    async with foreseeing(tmp_path / "x.db") as (database, machine_, told):
        await machine_.aside(lambda tx: tx.decide_alone())
        await database.write(lambda tx: absorb(tx, [change(NODES[1], 1)]))
        machine_.deliver(steps(2, order(1)))
        await until(lambda: machine_.applied == 2)
        machine_.deliver(steps(3, order(2)))
        await until(lambda: machine_.applied == 3)
        assert told == []
        await database.write(share)
        machine_.deliver(steps(4, order(1)))
        await until(lambda: machine_.applied == 4)
        machine_.deliver(steps(5, order(2)))
        assert told == [Run(3, NodeId(NODES[0]), 2, 1)]


async def test_what_was_delivered_meanwhile_is_foreseen_from_the_order_as_it_then_is(tmp_path: Path) -> None:
    async with foreseeing(tmp_path / "x.db") as (database, machine_, told):
        database.disk.clear()
        grown = asyncio.create_task(machine_.aside(lambda tx: tx.order.install(5, {NodeId(NODES[1]): 5})))
        await asyncio.sleep(0)
        machine_.deliver(steps(2, order(1)))
        assert told == []
        database.disk.set()
        await grown
        await until(lambda: machine_.applied == 2)
        machine_.deliver(steps(3, order(2)))
        assert told == [Run(7, NodeId(NODES[0]), 2, 1)]


async def test_another_state_begins_after_the_steps_whose_positions_were_told(tmp_path: Path) -> None:
    async with foreseeing(tmp_path / "x.db") as (database, machine_, told):
        machine_.deliver(steps(2, order(1, 3)))
        assert told == [Run(1, NodeId(NODES[0]), 1, 3)]
        await machine_.restart(lambda tx: tx.order.put([Run(4, NodeId(NODES[1]), 1, 1)], True))
        assert machine_.applied == 2
        assert await database.read(lambda db: commits.runs_after(db, 0, 9)) == [*told, Run(4, NodeId(NODES[1]), 1, 1)]
        machine_.deliver(steps(3, order(4)))
        await until(lambda: machine_.applied == 3)
        assert told == [Run(1, NodeId(NODES[0]), 1, 3)]


async def test_what_comes_while_the_first_step_is_written_is_foreseen_after_it(tmp_path: Path) -> None:
    async with Slow(tmp_path / "x.db") as database:
        await database.write(share)
        async with Machine(database, absorb) as machine_:
            told: list[Run] = []
            machine_.on_placed = told.append
            database.disk.clear()
            machine_.deliver(steps(1, order(1)))
            await until(lambda: database.waits == 1)
            machine_.deliver(steps(2, order(2), order(1, 1, NODES[1])))
            assert told == []
            database.disk.set()
            await until(lambda: machine_.applied == 3)
            assert told == [Run(2, NodeId(NODES[0]), 2, 1), Run(3, NodeId(NODES[1]), 1, 1)]


async def test_after_a_snapshot_positions_follow_those_in_it(tmp_path: Path) -> None:
    async with foreseeing(tmp_path / "one.db") as (_, one, _), foreseeing(tmp_path / "x.db") as (_, machine_, told):
        one.deliver(steps(2, order(1, 5), order(1, 3, NODES[1])))
        await until(lambda: one.applied == 3)
        await machine_.install(3, 1, (await one.snapshot())[1])
        machine_.deliver(steps(4, order(6)))
        await until(lambda: machine_.applied == 4)
        machine_.deliver(steps(5, order(7), order(4, 1, NODES[1])))
        assert told == [Run(10, NodeId(NODES[0]), 7, 1), Run(11, NodeId(NODES[1]), 4, 1)]

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from hiveminddb.daemon.swarm import commands, machine_state
from hiveminddb.daemon.swarm.commands import AddMember, Command, Grant, Release, new_id
from hiveminddb.daemon.swarm.deciding import Result
from hiveminddb.daemon.swarm.machine import Machine, Taken
from hiveminddb.errors import DiskFull, InvalidFrame, Unavailable
from hiveminddb.store import claims, machine
from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction
from tests.daemon.own_log import Step
from tests.daemon.stepping import NODES, absorb, change

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


async def opened(stack: AsyncExitStack, path: Path) -> tuple[Flaky, Machine]:
    database = Flaky(path)
    await stack.enter_async_context(database)
    await database.write(lambda tx: tx.set_sole(False))
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

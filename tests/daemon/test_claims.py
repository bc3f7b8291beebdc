from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hiveminddb.daemon.swarm import claims as use_cases
from hiveminddb.daemon.swarm.claims import Claims
from hiveminddb.daemon.swarm.lease_clock import LeaseClock
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.errors import (
    Conflict,
    HiveMindError,
    InvalidInput,
    NoQuorum,
    NotFound,
    OutcomeUnknown,
    TooLarge,
)
from hiveminddb.store.database import Database
from hiveminddb.swarm import Lease, Register
from tests.daemon.own_log import OwnLog
from tests.daemon.stepping import absorb

pytestmark = pytest.mark.anyio

GONE = NoQuorum("a majority of the swarm cannot be reached", "wait")
LATE = OutcomeUnknown("no answer")


class UnsteadyLog(OwnLog):
    """Answers with these errors first; where `through`, what it answered so to has come through nevertheless."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.errors: list[HiveMindError] = []
        self.through = True
        self.asked: list[bytes] = []

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109
        self.asked.append(command)
        if not self.errors:
            return await super().propose(command, timeout)
        error = self.errors.pop(0)
        if self.through and isinstance(error, OutcomeUnknown):
            await super().propose(command, timeout)
        raise error


class Place:
    def __init__(self, database: Database, machine: Machine) -> None:
        self.log = UnsteadyLog(machine)
        self.claims = Claims(database, self.log, machine)
        self.clock = LeaseClock(database, self.log, machine)


@asynccontextmanager
async def place(path: Path) -> AsyncIterator[Place]:
    async with Database(path / "x.db") as database, Machine(database, absorb) as machine:
        yield Place(database, machine)


async def test_a_lease_is_taken_renewed_and_released(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        lease = await here.claims.lease("deploy", "agent-1", 30)
        assert lease == Lease("deploy", "agent-1", 1, 30.0)
        with pytest.raises(Conflict, match=r"deploy is held by agent-1 \(token 1\)"):
            await here.claims.lease("deploy", "agent-2", 30)
        assert await here.claims.renew("deploy", 1) == lease
        assert await here.claims.leases() == [await here.claims.held("deploy")] == [lease]
        await here.claims.release("deploy", 1)
        with pytest.raises(Conflict, match="the lease on deploy with token 1 has ended, nobody holds it"):
            await here.claims.release("deploy", 1)
        with pytest.raises(NotFound, match="nobody holds deploy"):
            await here.claims.held("deploy")
        assert (await here.claims.lease("deploy", "agent-2", 30)).token == 2
        with pytest.raises(Conflict, match=r"it is held by agent-2 \(token 2\)"):
            await here.claims.renew("deploy", 1)


async def test_a_register_changes_by_compare_and_set(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        with pytest.raises(NotFound):
            await here.claims.register("leader")
        assert await here.claims.set_register("leader", "a", 0, None) == Register("leader", "a", 1)
        with pytest.raises(Conflict, match="register leader is at version 1"):
            await here.claims.set_register("leader", "b", 0, None)
        assert await here.claims.set_register("leader", "b", None, "a") == Register("leader", "b", 2)
        assert await here.claims.register("leader") == Register("leader", "b", 2)


async def test_a_name_is_one_holders(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        await here.claims.claim_name("anna", "agent-1")
        await here.claims.claim_name("anna", "agent-1")
        with pytest.raises(Conflict, match="the name anna belongs to agent-1"):
            await here.claims.claim_name("anna", "agent-2")
        await here.claims.release_name("anna", "agent-1")
        await here.claims.claim_name("anna", "agent-2")


async def test_what_cannot_be_asked_is_refused_before_it_is_proposed(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ask = here.claims
        for refused, error in (
            (ask.lease("", "me", 30), InvalidInput),
            (ask.lease("k" * 201, "me", 30), TooLarge),
            (ask.lease("k", "me", 0.05), InvalidInput),
            (ask.lease("k", "me", float("nan")), InvalidInput),
            (ask.lease("k", "me", 1e9), InvalidInput),
            (ask.renew("k", -1), InvalidInput),
            (ask.release("k", 2**63), InvalidInput),
            (ask.set_register("k", "v", None, None), InvalidInput),
            (ask.set_register("k", "v" * 4097, 0, None), TooLarge),
        ):
            with pytest.raises(error):
                await refused
        assert here.log.asked == []


async def test_of_many_who_ask_at_once_one_gets_the_lease(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        asked = [here.claims.lease("db", f"agent-{n}", 30) for n in range(20)]
        answers: Sequence[Lease | BaseException] = await asyncio.gather(*asked, return_exceptions=True)
        assert len([one for one in answers if isinstance(one, Lease)]) == 1
        assert len([one for one in answers if isinstance(one, Conflict)]) == 19


async def test_without_quorum_a_claim_is_refused_at_once(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.log.errors = [GONE]
        with pytest.raises(NoQuorum):
            await here.claims.lease("db", "me", 30)
        assert len(here.log.asked) == 1


@pytest.mark.parametrize("through", [True, False])
async def test_an_answer_that_got_lost_is_asked_for_again_and_the_claim_is_made_once(
    tmp_path: Path, through: bool
) -> None:
    async with place(tmp_path) as here:
        here.log.errors, here.log.through = [LATE, GONE, LATE], through
        assert (await here.claims.lease("db", "me", 30)).token == 1
        assert len(set(here.log.asked)) == 1
        assert (await here.claims.lease("other", "me", 30)).token == 2


async def test_where_no_answer_ever_comes_that_is_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_cases, "DECIDED_SECONDS", 0.05)
    async with place(tmp_path) as here:
        here.log.errors, here.log.through = [LATE] * 100_000, False
        with pytest.raises(OutcomeUnknown, match="has not answered in time"):
            await here.claims.lease("db", "me", 30)


async def test_the_leader_ends_a_lease_whose_time_is_over_and_leaves_the_others(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        clock = asyncio.create_task(here.clock.run())
        here.clock.lead(True)
        await here.claims.lease("long", "me", 3600)
        await here.claims.lease("short", "me", 0.1)
        here.log.errors = [GONE]
        await until_free(here.claims, "short")
        assert [lease.key for lease in await here.claims.leases()] == ["long"]
        assert (await here.claims.lease("short", "you", 30)).token == 3
        clock.cancel()


async def test_a_new_leader_gives_every_lease_its_whole_time(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        clock = asyncio.create_task(here.clock.run())
        for key in ("a", "b"):
            await here.claims.lease(key, "me", 0.1)
        began = asyncio.get_running_loop().time()
        here.clock.lead(True)
        await until_free(here.claims, "a")
        await until_free(here.claims, "b")
        assert asyncio.get_running_loop().time() - began >= 0.1
        clock.cancel()


async def until_free(claims: Claims, key: str) -> None:
    async with asyncio.timeout(180):
        while key in [lease.key for lease in await claims.leases()]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

"""What a leader does beside deciding, with a consensus and a database of its own; the other nodes are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.swarm import leading
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.leading import Leading
from hiveminddb.daemon.swarm.machine import Machine, Taken
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.standing import alone
from hiveminddb.model import NodeId
from hiveminddb.store import directory
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow
from tests.daemon.nobody import Nobody, without_log
from tests.daemon.stepping import NODES, absorb
from tests.sync.meeting import until

pytestmark = pytest.mark.anyio

ME, OTHER = map(NodeId, NODES[:2])


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_member_whose_removal_failed_shall_vote_again(
    stack: AsyncExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "FORGIVEN_SECONDS", 0.0)
    database = await stack.enter_async_context(Database(tmp_path / "x.db"))
    rows = [NodeRow(ME, b"m" * 32, "me", "voter", 0), NodeRow(OTHER, b"o" * 32, "other", "learner", 0)]
    await database.write(lambda tx: directory.replace_nodes(tx.connection, rows))
    members, machine = Members(ME, database), await stack.enter_async_context(Machine(database, absorb))
    await members.reload()

    council = await stack.enter_async_context(Council(ME, tmp_path, alone(ME), machine, Nobody(), without_log))
    bell = Bell()
    await stack.enter_async_context(Leading(members, database, council, machine, Nobody(), bell))
    council.on_view.append(lambda view: bell.ring())
    bell.ring()
    changed: list[Sequence[Taken]] = []
    machine.on_members.append(changed.append)
    await until(lambda: changed)
    now = await database.read(directory.nodes)
    assert {row.name: row.role for row in now} == {"me": "voter", "other": "voter"}

"""Consensus formed anew, with a machine and a database of its own; the other nodes are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import AddMember
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.standing import alone, later
from hiveminddb.model import NodeId
from hiveminddb.store.database import Database
from tests.daemon.nobody import Nobody, without_log
from tests.daemon.stepping import NODES, absorb
from tests.sync.meeting import until

pytestmark = pytest.mark.anyio

ME, OTHER = map(NodeId, NODES[:2])


async def test_a_log_that_a_crash_left_without_a_beginning_begins_where_the_machine_stands(tmp_path: Path) -> None:
    command = commands.encode(AddMember(commands.new_id(), OTHER, b"o" * 32, "other", "learner"))
    async with (
        Database(tmp_path / "x.db") as database,
        Machine(database, absorb) as machine,
        Council(ME, tmp_path, alone(ME), machine, Nobody(), without_log) as council,
    ):
        index = await council.propose(command, 10.0)
        await until(lambda: machine.applied >= index)
        async with council.changing() as turn:
            turn.standing = later(turn.standing, ME, machine.applied, machine.term)
            turn.standing.folder(tmp_path).mkdir()
        assert await council.propose(command, 10.0) > index

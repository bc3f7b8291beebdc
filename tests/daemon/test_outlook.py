"""What a node can decide by itself, with a consensus and a database of its own; the other nodes are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.outlook import Outlook
from hiveminddb.daemon.swarm.standing import alone
from hiveminddb.model import NodeId
from hiveminddb.store.database import Database
from tests.daemon.nobody import Nobody, without_log
from tests.daemon.stepping import NODES, absorb
from tests.store.making import share

pytestmark = pytest.mark.anyio

ME = NodeId(NODES[0])


async def test_who_is_alone_has_a_quorum_also_while_its_consensus_is_formed_anew(tmp_path: Path) -> None:
    async with (
        Database(tmp_path / "x.db") as database,
        Machine(database, absorb) as machine,
        Council(ME, tmp_path, alone(ME), machine, Nobody(), without_log) as council,
    ):
        absent: Any = None
        links: Any = Nobody()
        outlook = Outlook(absent, Members(ME, database), council, machine, links, absent, absent, {}, database)
        await database.write(lambda tx: tx.decide_alone())
        async with council.changing():
            assert outlook.has_quorum()
            await database.write(share)
            assert not outlook.has_quorum()

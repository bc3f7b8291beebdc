from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.swarm.members import Members
from hiveminddb.model import NodeId
from hiveminddb.store import directory
from hiveminddb.store.directory import NodeRow
from tests.daemon.hampered import Hampered
from tests.daemon.stepping import NODES

pytestmark = pytest.mark.anyio

ME, OTHER = map(NodeId, NODES[:2])


async def test_a_directory_read_earlier_does_not_replace_one_read_later(tmp_path: Path) -> None:
    async with Hampered(tmp_path / "x.db") as database:
        before = [_called(ME, "laptop"), _called(OTHER, "lost")]
        await database.write(lambda tx: directory.replace_nodes(tx.connection, before))
        members = Members(ME, database)
        database.hold(directory.nodes)
        await database.overtaken(
            members.reload, lambda tx: directory.replace_nodes(tx.connection, [_called(ME, "studio")])
        )
        assert members.own_name == members.name_of(ME) == "studio"
        assert OTHER not in members


def _called(node: NodeId, name: str) -> NodeRow:
    return NodeRow(node, b"m" * 32, name, "voter", 0)

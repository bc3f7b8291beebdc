"""Who belongs to the swarm: the directory of nodes, as consensus has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw

from hiveminddb.model import NodeId


class NodeRow(NamedTuple):
    """A member: its raw Ed25519 public key, its unique name, its role, and the step it joined at."""

    id: NodeId
    public_key: bytes
    name: str
    role: str
    since: int


_NODE = "SELECT id, public_key, name, role, since FROM nodes"


def node(connection: apsw.Connection, id: str) -> NodeRow | None:
    """The member with exactly that id, None for a stranger."""
    row = connection.execute(f"{_NODE} WHERE id = ?", (id,)).fetchone()
    return NodeRow(*row) if row else None


def named(connection: apsw.Connection, name: str) -> NodeRow | None:
    """The member with exactly that name."""
    row = connection.execute(f"{_NODE} WHERE name = ?", (name,)).fetchone()
    return NodeRow(*row) if row else None


def nodes(connection: apsw.Connection) -> list[NodeRow]:
    """All members, by id; none where this node has never been in a swarm of several."""
    return [NodeRow(*row) for row in connection.execute(f"{_NODE} ORDER BY id")]


def put_node(connection: apsw.Connection, row: NodeRow) -> None:
    """Adds a member, or changes what is known of it."""
    connection.execute(
        "INSERT INTO nodes (id, public_key, name, role, since) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " public_key = excluded.public_key, name = excluded.name, role = excluded.role, since = excluded.since",
        row,
    )


def drop_node(connection: apsw.Connection, id: str) -> None:
    """It is a stranger from now on."""
    connection.execute("DELETE FROM nodes WHERE id = ?", (id,))


def replace_nodes(connection: apsw.Connection, rows: Iterable[NodeRow]) -> None:
    """These members instead of all there are."""
    connection.execute("DELETE FROM nodes")
    for row in rows:
        put_node(connection, row)

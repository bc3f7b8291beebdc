"""The directory of the swarm, kept in memory for those who must answer at once: links ask it at every handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from hiveminddb.errors import Ambiguous, NotFound
from hiveminddb.model import NodeId
from hiveminddb.store import directory
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow

# As many characters of an id as name a node, at least.
SHORTEST_PREFIX = 4


class Members:
    """Follows the directory by `reload`; `on_change` hears the nodes that are members no longer."""

    def __init__(self, me: NodeId, database: Database) -> None:
        self.me, self._database = me, database
        self._rows: dict[NodeId, NodeRow] = {}
        # One look at a time: of two at once the earlier may end last, and what it saw would stay.
        self._looking = asyncio.Lock()
        # What this node was called while it was a member: it keeps that name when it is none any more.
        self.own_name = ""
        self.on_change: Callable[[frozenset[NodeId]], None] = lambda gone: None

    @property
    def rows(self) -> Sequence[NodeRow]:
        """All members, by id."""
        return list(self._rows.values())

    @property
    def others(self) -> Sequence[NodeRow]:
        """All members but this node."""
        return [row for row in self._rows.values() if row.id != self.me]

    def __contains__(self, node: NodeId) -> bool:
        return node in self._rows

    def key_of(self, node: NodeId) -> bytes | None:
        """A member's raw public key, None for a stranger."""
        row = self._rows.get(node)
        return row.public_key if row else None

    def name_of(self, node: NodeId) -> str:
        """A member's name, the id of a stranger."""
        row = self._rows.get(node)
        return row.name if row else node

    def named(self, text: str) -> NodeRow:
        """The member with that name, id, or unique beginning of an id; NotFound, Ambiguous."""
        exact = [row for row in self._rows.values() if text in (row.id, row.name)]
        alike = [row for row in self._rows.values() if len(text) >= SHORTEST_PREFIX and row.id.startswith(text)]
        found = exact or alike
        if not found:
            raise NotFound(f"no such node: {text[:100]}", "`hmd swarm` lists the nodes")
        if len(found) > 1:
            raise Ambiguous(f"{text[:100]} fits several nodes", "give more characters of the id")
        return found[0]

    async def reload(self) -> None:
        """Reads the directory again."""
        async with self._looking:
            before = self._rows.keys()
            self._rows = {row.id: row for row in await self._database.read(directory.nodes)}
        if self.me in self._rows:
            self.own_name = self._rows[self.me].name
        self.on_change(frozenset(before - self._rows.keys()))

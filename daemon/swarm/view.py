"""How the swarm stands, as this node sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, get_args

from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.model import NodeId
from hiveminddb.store import changes, commits
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.directory import NodeRow
from hiveminddb.swarm import Role, SwarmNode, SwarmState, SwarmStatus
from hiveminddb.sync.address import Address
from hiveminddb.sync.antientropy import Have, Vector, missing


class Lines(Protocol):
    """The links, as far as they are shown."""

    def connected(self) -> frozenset[NodeId]: ...

    def refused(self, node: NodeId) -> bool:
        """Whether the node can be reached, and does not let this one in any more."""
        ...

    def doubled(self, node: NodeId) -> bool:
        """Whether two machines have lately been linked under this id."""
        ...

    def address(self, peer: NodeId) -> Address | None:
        """Where the link with a peer goes, None without one."""
        ...


class Sightings:
    """When each node was last linked, and where."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._gone: dict[NodeId, float] = {}
        self._seen: dict[NodeId, datetime] = {}
        # What nodes said they have, before their links went.
        self.told: dict[NodeId, Have] = {}
        self.addresses: dict[NodeId, Address] = {}

    def up(self, node: NodeId) -> None:
        """A link is there."""
        if address := self._lines.address(node):
            self.addresses[node] = address

    def down(self, node: NodeId, told: Have | None) -> None:
        """A link is gone, over which the node has told that it has this."""
        if told is not None:
            self.told[node] = told
        self._gone[node], self._seen[node] = self._loop.time(), datetime.now(UTC)

    def away_for(self, node: NodeId) -> float:
        """Seconds since the last link with a node, or since the start; 0 while there is one."""
        if node in self._lines.connected():
            return 0.0
        return self._loop.time() - self._gone.get(node, self._start)

    def last_seen(self, node: NodeId) -> datetime | None:
        """Now, while there is a link; None where there has been none since the start."""
        return datetime.now(UTC) if node in self._lines.connected() else self._seen.get(node)


@dataclass(frozen=True, slots=True)
class SwarmView:
    """Everything that a status is made of."""

    me: NodeId
    name: str
    members: Members
    database: Database
    council: Council
    sightings: Sightings
    lines: Lines
    told: Mapping[NodeId, Have]
    origin: Callable[[], NodeId]

    async def status(self) -> SwarmStatus:
        """The swarm at this moment."""
        mine, ordered, seq = await self.database.read(_known)
        view, rows = self.council.view, self.members.rows
        votes = self.me in self.council.voters
        return SwarmStatus(
            state=self._state(),
            seq=seq,
            node=self.me,
            name=self.members.name_of(self.me) if rows else self.name,
            role=_role(view.role) if view and votes else "learner",
            leader=view.leader if view else None,
            term=view.term if view else 0,
            quorum=self._state() != "no_quorum",
            pending=sum(max(0, mine.get(it, 0) - ordered.get(it, 0)) for it in {self.me, self.origin()}),
            nodes=tuple(self._node(row, mine) for row in rows),
            swarm=self.council.standing.swarm,
            epoch=self.council.standing.epoch,
            barred=self.council.standing.barred,
        )

    def _state(self) -> SwarmState:
        if not self.members.others:
            return "alone"
        if self.me in self.council.voters:
            return "together" if self.council.has_quorum else "no_quorum"
        # A learner decides through a voter; a barred one still counts as a voter with the others, and does not answer.
        voting = self.council.voters_known or {row.id for row in self.members.others if row.role == "voter"}
        needed = len(voting | {self.me}) // 2 + 1 if self.council.standing.barred else 1
        return "together" if len(voting & self.lines.connected()) >= needed else "no_quorum"

    def _node(self, row: NodeRow, mine: Vector) -> SwarmNode:
        has = self.told.get(row.id) or self.sightings.told.get(row.id)
        is_me, address = row.id == self.me, self.sightings.addresses.get(row.id)
        # While nobody has told who votes, the directory says who shall.
        voters = self.council.voters_known
        votes = row.id in voters if voters else row.role == "voter" and not is_me
        return SwarmNode(
            id=row.id,
            name=row.name,
            role="voter" if votes else "learner",
            online=is_me or row.id in self.lines.connected(),
            address=str(address) if address else None,
            last_seen=datetime.now(UTC) if is_me else self.sightings.last_seen(row.id),
            lag=0 if is_me else missing(has.vector, mine) if has else None,
            ahead=0 if is_me else missing(mine, has.vector) if has else None,
            refuses=self.lines.refused(row.id),
            doubled=self.lines.doubled(row.id),
        )


def _role(role: str) -> Role:
    return next(it for it in get_args(Role) if it == role)


def _known(connection: Connection) -> tuple[Vector, Vector, int]:
    return changes.version_vector(connection), commits.ordered_vector(connection), commits.last_seq(connection)

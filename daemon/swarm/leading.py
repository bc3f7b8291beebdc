"""What the leader does beside deciding: it keeps the voters in line with the directory, one change at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.claims import decided
from hiveminddb.daemon.swarm.commands import AddMember, DecideAlone
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.voters import Step, next_step
from hiveminddb.errors import Conflict, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store import changes
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow
from hiveminddb.sync.antientropy import Vector, missing

log = logging.getLogger(__name__)

# Nothing rings for a node that has caught up, or has been away for long.
LOOK_SECONDS = 5.0

# Changes that a node may lack that becomes a voter: while others write it never has all of them.
READY_LAG = 4096

# A removal is over before that, or has failed.
FORGIVEN_SECONDS = 60.0

# A voter away for so long gives its vote to a node that is here.
ABSENT_SECONDS = 600.0


class Sight(Protocol):
    """What the leader sees of the others."""

    def vectors(self) -> Mapping[NodeId, Vector]:
        """What linked nodes have last told they have."""
        ...

    def away_for(self, node: NodeId) -> float:
        """Seconds since the last link with a node, or since the start; 0 while there is one."""
        ...


class Leading:
    """Runs inside `async with`; does nothing while another node leads."""

    def __init__(
        self, members: Members, database: Database, council: Council, machine: Machine, sight: Sight, bell: Bell
    ) -> None:
        self._me = members.me
        self._members, self._database, self._council = members, database, council
        self._machine, self._sight, self._bell = machine, sight, bell
        # Members that shall not vote any more, and since when this node sees that.
        self._leaving: dict[NodeId, float] = {}

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(supervised("leading", self._run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._bell.heard(LOOK_SECONDS)
            try:
                await self._lead()
            except (Unavailable, Conflict) as error:
                log.debug("voters not changed yet reason=%s", error)

    async def _lead(self) -> None:
        if not (self._council.leads and self._council.has_quorum):
            return
        voters, linked = self._council.voters, self._sight.vectors().keys()
        step = next_step(self._me, self._members.rows, voters, linked, self._absent())
        if step is not None and step.adds:
            step = next_step(self._me, self._members.rows, voters, await self._ready(), self._absent())
        if step is not None:
            await self._take(step, voters)
        elif kept := self._kept():
            await self._forgive(kept)
        elif voters == {self._me}:
            await self._decide_alone()

    def _kept(self) -> list[NodeRow]:
        """Members that were to go, and are members still: whoever wanted that has failed."""
        now, rows = asyncio.get_running_loop().time(), {row.id: row for row in self._members.rows}
        leaving = [node for node, row in rows.items() if row.role == "learner"]
        self._leaving = {node: self._leaving.get(node, now) for node in leaving}
        return [rows[node] for node, since in self._leaving.items() if now - since >= FORGIVEN_SECONDS]

    async def _forgive(self, kept: Sequence[NodeRow]) -> None:
        for row in kept:
            command = AddMember(commands.new_id(), row.id, row.public_key, row.name, "voter")
            await decided(self._council, self._machine, command)
            log.info("a removal that failed is forgotten node=%s", row.id)

    async def _ready(self) -> set[NodeId]:
        """Members that have nearly all this node has: a voter keeps up, and what it lacks waits in its log."""
        mine = await self._database.read(changes.version_vector)
        return {node for node, vector in self._sight.vectors().items() if missing(vector, mine) <= READY_LAG}

    def _absent(self) -> set[NodeId]:
        return {row.id for row in self._members.others if self._sight.away_for(row.id) > ABSENT_SECONDS}

    async def _take(self, step: Step, voters: Collection[NodeId]) -> None:
        if step.adds:
            if voters == {self._me}:
                await self._decide_together()
            await self._council.add_voter(step.node)
        elif step.node == self._me:
            heirs = [node for node in self._sight.vectors() if node in voters]
            if heirs:
                await self._council.transfer(min(heirs))
            return
        else:
            await self._council.remove_voter(step.node)
        log.info("voters changed node=%s adds=%s", step.node, step.adds)

    async def _decide_alone(self) -> None:
        if self._database.sole:
            return
        if self._database.alone:
            # It has ceded, and the step that says how far it came may be in the log already.
            await self._decide_together()
        await decided(self._council, self._machine, DecideAlone(commands.new_id()))
        await self._machine.aside(lambda tx: tx.decide_alone())
        log.info("this node decides the order alone")

    async def _decide_together(self) -> None:
        """Steps give positions from here on, also where adding the voter fails; the step says from where on."""
        at = await self._machine.aside(lambda tx: tx.cede())
        await decided(self._council, self._machine, commands.together(at))

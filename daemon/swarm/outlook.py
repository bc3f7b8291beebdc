"""What the parts of the swarm see of this node and of those around it, at this moment."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.swarm import questions
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.questions import Farewell, Look
from hiveminddb.daemon.swarm.reach import Reach
from hiveminddb.daemon.swarm.view import Sightings
from hiveminddb.errors import HiveMindError
from hiveminddb.model import Change, NodeId
from hiveminddb.store.database import Database
from hiveminddb.sync.address import Address
from hiveminddb.sync.antientropy import Have, Vector
from hiveminddb.sync.links import Links

log = logging.getLogger(__name__)

# A node that was removed or should look is told so, if it can be told at once.
TELL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Outlook:
    """Satisfies what ordering, leading and the changes of membership ask for."""

    pipeline: Pipeline
    members: Members
    council: Council
    machine: Machine
    links: Links
    reach: Reach
    sightings: Sightings
    told_by: Mapping[NodeId, Have]
    database: Database

    def origin(self) -> NodeId:
        """Under which this node's changes are made."""
        return self.pipeline.origin

    def fresh(self, origin: NodeId, counter: int) -> Sequence[Change] | None:
        """The changes of an origin after a counter; None where they must be looked up."""
        return self.pipeline.fresh.following(origin, counter)

    def has_quorum(self) -> bool:
        """Whether an order can be decided now, here or through a voter."""
        # Who is alone needs no consensus for it, which may just be formed anew.
        if self.database.sole or self.council.has_quorum:
            return True
        return not self.votes() and bool(self.links.connected()) and bool(self.members.others)

    def leads(self) -> bool:
        """Whether this node leads."""
        return self.council.leads

    def applied(self) -> int:
        """Up to which step this node's state goes."""
        return self.machine.applied

    def votes(self) -> bool:
        """Whether this node is one of those who decide."""
        return self.members.me in self.council.voters

    def voters(self) -> frozenset[NodeId]:
        """Who decides."""
        return self.council.voters

    def has_learners(self) -> bool:
        """Whether a member does not vote."""
        return any(row.id not in self.council.voters for row in self.members.others)

    def connected(self) -> frozenset[NodeId]:
        """The nodes that are linked."""
        return self.links.connected()

    def told(self) -> Mapping[NodeId, Have]:
        """What linked nodes last said they have."""
        return self.told_by

    def vectors(self) -> Mapping[NodeId, Vector]:
        """The version vectors that linked nodes last told."""
        return {node: has.vector for node, has in self.told_by.items()}

    def away_for(self, node: NodeId) -> float:
        """Seconds since the last link with a node, or since the start."""
        return self.sightings.away_for(node)

    def addresses(self) -> Mapping[NodeId, Sequence[Address]]:
        """Where members were reached."""
        found = {node: [address] for node, address in self.sightings.addresses.items() if node in self.members}
        return found | {self.members.me: self.reach.own()}

    def seek(self, known: Mapping[NodeId, Sequence[Address]]) -> None:
        """Members may be reached there."""
        for node, found in known.items():
            self.links.seek(node, found)

    async def tell(self, node: NodeId, what: Farewell | Look) -> None:
        """A linked node hears it, if that is possible at once."""
        try:
            await self.links.call(node, questions.encode(what), TELL_SECONDS)
        except HiveMindError as error:
            log.debug("not told node=%s reason=%s", node, error)

    async def nudge(self, nodes: frozenset[NodeId]) -> None:
        """Linked nodes should look what is new."""
        for node in nodes:
            await self.tell(node, Look())

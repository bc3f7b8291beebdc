"""What joining needs of this node: who it is, where it stands, and how it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hiveminddb.daemon.swarm.citizenship import Citizenship
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.joining import Place
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.reach import Reach
from hiveminddb.model import NodeId
from hiveminddb.sync.announcement import Seen
from hiveminddb.sync.pairing import Introduction


@dataclass(frozen=True, slots=True)
class Home:
    """Satisfies what both sides of a join ask for."""

    me: NodeId
    citizenship: Citizenship
    reach: Reach
    council: Council
    members: Members

    async def introduce(self) -> Introduction:
        return await self.citizenship.introduce()

    async def admit(self, guest: Introduction) -> bytes:
        return await self.citizenship.admit(guest)

    async def adopt(self, host: Introduction, welcome: bytes) -> None:
        await self.citizenship.adopt(host, welcome)

    async def leave(self) -> None:
        await self.citizenship.leave()

    def places(self) -> Sequence[Place]:
        return self.reach.places()

    def static(self) -> Sequence[Place]:
        return [Place([address]) for address in self.reach.static]

    def seen(self) -> Sequence[Seen]:
        return list(self.reach.seen.values())

    def swarm(self) -> str:
        return self.council.standing.swarm

    def alone(self) -> bool:
        return not self.members.others

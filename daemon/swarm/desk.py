"""What callers ask of the swarm: `SwarmCases`, answered by the parts that do it."""

from __future__ import annotations

from hiveminddb.daemon.swarm.citizenship import Citizenship
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.deputy import Deputy
from hiveminddb.daemon.swarm.joining import Joining
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.reach import Reach
from hiveminddb.daemon.swarm.view import SwarmView
from hiveminddb.errors import Conflict, NoQuorum
from hiveminddb.swarm import Introduction, Invite, SwarmStatus


class SwarmDesk:
    """See `SwarmCases`."""

    def __init__(
        self,
        view: SwarmView,
        members: Members,
        council: Council,
        citizenship: Citizenship,
        deputy: Deputy,
        joining: Joining,
        reach: Reach,
    ) -> None:
        self._view, self._members, self._council = view, members, council
        self._citizenship, self._deputy, self._joining, self._reach = citizenship, deputy, joining, reach
        self.status = view.status
        self.barrier = deputy.barrier
        self.join = joining.join

    async def invite(self) -> Invite:
        """A new code; it takes the place of one that is open. NoQuorum where nobody could be let in."""
        if (await self.status()).state == "no_quorum":
            raise NoQuorum("nobody can be let in: most of the swarm is not reachable", "connect to the other machines")
        return self._joining.invite()

    async def invited(self) -> Invite:
        """How the latest invite stands; NotFound where there has been none."""
        return self._joining.invited()

    async def end_invite(self) -> None:
        """The code is worth nothing from now on; harmless where none is open."""
        self._joining.end_invite()

    async def look(self, code: str) -> Introduction:
        """Finds and proves the other side, and keeps the line for `join`."""
        if self._members.others:
            raise Conflict(
                f"this node is in a swarm of {len(self._members.rows)} already",
                "`hmd swarm leave` before joining another",
            )
        self._reach.look()
        return await self._joining.look(code)

    async def leave(self) -> SwarmStatus:
        """This node becomes a swarm of one with all memories it has."""
        await self._citizenship.leave()
        return await self.status()

    async def recover(self) -> SwarmStatus:
        """Consensus is formed anew from this node; those linked with it follow. Conflict while there is quorum."""
        await self._citizenship.recover()
        return await self.status()

    async def remove(self, node: str) -> SwarmStatus:
        """A node is refused from now on; its memories stay."""
        row = self._members.named(node)
        if row.id == self._members.me:
            raise Conflict("this node does not remove itself", "`hmd swarm leave` takes it out of the swarm")
        await self._citizenship.remove(row.id)
        return await self.status()

    async def rename(self, name: str) -> SwarmStatus:
        """This node's name, as the others see it; Conflict where another has it."""
        await self._citizenship.rename(name)
        return await self.status()

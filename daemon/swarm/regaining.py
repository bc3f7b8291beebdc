"""How a node that was brought back from a backup becomes a voter again without breaking what it has promised.

Its log lacks entries that it acknowledged, and votes that it gave: counted once more, it could help to decide against
what is decided. So it is silent (barred) until a majority without it has taken its vote away, and then begins as new
members do; recovery in Viewstamped Replication Revisited (4.3) waits for the same majority. Of two voters the other has
all that was ever decided, so there it is enough to ask that one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.citizenship import Citizenship
from hiveminddb.daemon.swarm.commands import AddMember
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.deputy import Deputy, Lines
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.questions import StateAnswer
from hiveminddb.errors import Conflict, InvalidFrame, Unavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
# The leader takes a vote away within a second or two, where there is a quorum without it.
LET_GO_SECONDS = 15.0
ASK_SECONDS = 0.25
ASKED_AT_MOST = int(LET_GO_SECONDS / ASK_SECONDS)


class Regaining:
    """Runs for ever; does nothing while this node is not barred."""

    def __init__(
        self, members: Members, council: Council, deputy: Deputy, citizenship: Citizenship, lines: Lines
    ) -> None:
        self._me, self._members, self._council = members.me, members, council
        self._deputy, self._citizenship, self._lines = deputy, citizenship, lines
        self.bell = Bell()

    async def run(self) -> None:
        """Tries again after each look."""
        while True:
            await self.bell.heard(LOOK_SECONDS)
            if self._council.standing.barred:
                try:
                    await self._regain()
                except (Unavailable, Conflict, InvalidFrame) as error:
                    log.debug("vote not regained yet reason=%s", error)

    async def _regain(self) -> None:
        for said in await self._told():
            if len(said.voters) == 2 and self._me in said.voters:
                await self._citizenship.clear(said.voters)
                return
        step = await self._decided("learner")
        await self._let_go(step)
        await self._decided("voter")
        await self._citizenship.clear()

    async def _let_go(self, step: int) -> None:
        for _ in range(ASKED_AT_MOST):
            if await self._is_let_go(step):
                return
            await asyncio.sleep(ASK_SECONDS)
        raise Unavailable("the others have not taken this node's vote yet", "it tries again by itself")

    async def _decided(self, role: Literal["voter", "learner"]) -> int:
        """The step at which this node's role was known to be that."""
        me = self._members.named(self._me)
        command = AddMember(commands.new_id(), me.id, me.public_key, me.name, role)
        return await self._deputy.propose(commands.encode(command), LET_GO_SECONDS)

    async def _is_let_go(self, step: int) -> bool:
        """Whether a voter that knows that step says that this node votes neither by its log nor by what is settled."""
        return any(said.step >= step and self._me not in said.voters for said in await self._told())

    async def _told(self) -> Sequence[StateAnswer]:
        """What linked voters of this consensus say."""
        standing, told = self._council.standing, []
        for node in sorted(self._lines.connected()):
            said = await self._deputy.state_of(node)
            if (said.swarm, said.epoch) == (standing.swarm, standing.epoch) and node in said.voters:
                told.append(said)
        return told

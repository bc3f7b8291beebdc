"""Machines with one swarm key find each other and end in one swarm, without anybody there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm.joining import Joining, Place
from hiveminddb.errors import HiveMindError
from hiveminddb.model import NodeId
from hiveminddb.sync.announcement import Seen, swarm_tag
from hiveminddb.sync.gathering import Standing, Tries, whom_to_join
from hiveminddb.sync.pairing import Introduction

log = logging.getLogger(__name__)

# Somebody who can be joined is seen within this; one who would not open is asked again after it.
LOOK_SECONDS = 1.0


class Home(Protocol):
    """This node's place among others."""

    @property
    def me(self) -> NodeId: ...

    def swarm(self) -> str:
        """The id of the swarm it is in."""
        ...

    def alone(self) -> bool: ...

    def seen(self) -> Sequence[Seen]:
        """Nodes that announce themselves now."""
        ...

    def static(self) -> Sequence[Place]:
        """Where others are said to be."""
        ...

    async def leave(self) -> None:
        """Out of the present swarm, with all memories."""
        ...


class Unattended:
    """Runs inside `async with`."""

    def __init__(self, key_tag: str, home: Home, joining: Joining) -> None:
        self._key_tag, self._home, self._joining = key_tag, home, joining
        self._tries = Tries(time.monotonic)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(supervised("joining by key", self._run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for place in self._places():
                who = place.node or str(place.addresses)
                try:
                    if self._tries.may(who) and await self._joining.join_by_key(place, self._agree):
                        break
                except HiveMindError as error:
                    self._tries.failed(who, error)
                    log.info("not joined by key place=%s reason=%s", place.node or place.addresses, error.message)

    def _places(self) -> Sequence[Place]:
        """Who should be joined, the best first; whoever is only known by an address is asked who it is."""
        seen = {one.node: one for one in self._home.seen() if one.key_tag == self._key_tag}
        others = [Standing(one.node, one.swarm_tag, one.alone) for one in seen.values()]
        found = [Place(seen[node].addresses, node) for node in whom_to_join(self._standing(), others)]
        return [*found, *(self._home.static() if self._home.alone() else ())]

    async def _agree(self, host: Introduction) -> bool:
        """The swarm may be another by now than the one that was announced, which anyone can: only now it is proved."""
        there = Standing(host.node, swarm_tag(host.swarm), host.nodes <= 1)
        if not whom_to_join(self._standing(), [there]):
            return False
        if not self._home.alone():
            await self._home.leave()
        return True

    def _standing(self) -> Standing:
        return Standing(self._home.me, swarm_tag(self._home.swarm()), self._home.alone())

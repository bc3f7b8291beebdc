"""How a lease ends by itself: the leader counts its time on a clock that is never set, and proposes its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.claims import Proposals
from hiveminddb.daemon.swarm.commands import Expire
from hiveminddb.daemon.swarm.machine import Machine, Taken
from hiveminddb.errors import Unavailable
from hiveminddb.store import claims
from hiveminddb.store.claims import LeaseRow
from hiveminddb.store.database import Database

log = logging.getLogger(__name__)

PROPOSE_SECONDS = 5.0
AGAIN_SECONDS = 1.0


class _Running(NamedTuple):
    lease: LeaseRow
    ends: float


class LeaseClock:
    """Counts while this node leads: from when it saw a lease granted or renewed, or from when it began to lead.

    A holder that counts from before it asked has therefore stopped before its lease ends.
    """

    def __init__(self, database: Database, log: Proposals, machine: Machine) -> None:
        self._database, self._log = database, log
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, _Running] = {}
        self._leading = False
        self._changed = asyncio.Event()
        machine.on_leases.append(self._on_leases)

    def lead(self, leading: bool) -> None:
        """Whether this node leads; a new leader gives every lease its whole time again."""
        if leading != self._leading:
            self._leading = leading
            self._running.clear()
            self._changed.set()

    def _on_leases(self, taken: Sequence[Taken]) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Proposes the end of leases whose time is over, for ever."""
        while True:
            self._changed.clear()
            if self._leading:
                self._follow(await self._database.read(claims.leases))
                await self._end_due()
            await self._pause()

    def _follow(self, leases: Sequence[LeaseRow]) -> None:
        """Starts the time of what is new, forgets what is gone, and leaves the time of the rest running."""
        now = self._loop.time()
        self._running = {
            lease.key: running
            if (running := self._running.get(lease.key)) and running.lease == lease
            else _Running(lease, now + lease.ttl_ms / 1000)
            for lease in leases
        }

    async def _end_due(self) -> None:
        for running in list(self._running.values()):
            if self._leading and running.ends <= self._loop.time():
                await self._end(running.lease)

    async def _end(self, lease: LeaseRow) -> None:
        command = Expire(commands.new_id(), lease.key, lease.token, lease.granted)
        try:
            await self._log.propose(commands.encode(command), PROPOSE_SECONDS)
            log.info("lease over key=%r holder=%r token=%d", lease.key, lease.holder, lease.token)
        except Unavailable as error:
            log.warning("lease not ended yet key=%r reason=%s", lease.key, error.message)

    async def _pause(self) -> None:
        """Until a lease's time is over, or something changes."""
        ends = min((running.ends for running in self._running.values()), default=None)
        wait = None
        if self._leading and ends is not None:
            # One that is over and still there was proposed just now: it is gone in a moment, or is proposed again.
            wait = left if (left := ends - self._loop.time()) > 0 else AGAIN_SECONDS
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            pass

"""A swarm and its claims in a few dictionaries: what the API's own tests run against."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hiveminddb.errors import Conflict, HiveMindError, NotFound
from hiveminddb.model import NodeId
from hiveminddb.swarm import Introduction, Invite, Joined, Lease, Register, SwarmNode, SwarmStatus

ME, PEER = NodeId("a" * 20), NodeId("b" * 20)
SEEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeSwarm:
    """Two nodes, one of them away; answers plausibly and remembers what it was asked."""

    def __init__(self) -> None:
        self.name = "desk"
        self.invite_now: Invite | None = None
        # What becomes of an invite, each time somebody looks.
        self.progress: list[Invite] = []
        self.looked: Introduction | None = None
        self.barriers = 0
        self.failure: HiveMindError | None = None
        self.lag = 3
        self.away = True
        self.asked: list[str] = []

    def _did(self, what: str) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure

    async def status(self) -> SwarmStatus:
        nodes = (
            SwarmNode(ME, self.name, "voter", True, "10.0.0.1:8101", SEEN),
            SwarmNode(PEER, "laptop", "voter", not self.away, None, SEEN, lag=self.lag),
        )
        return SwarmStatus("together", 7, ME, self.name, "leader", ME, 4, True, 2, nodes)

    async def invite(self) -> Invite:
        self._did("invite")
        self.invite_now = Invite("7-walnut-anchor", SEEN)
        return self.invite_now

    async def invited(self) -> Invite:
        if self.invite_now is None:
            raise NotFound("there has been no invite", "make one: hmd invite")
        if self.progress:
            self.invite_now = self.progress.pop(0)
        return self.invite_now

    async def end_invite(self) -> None:
        self._did("end_invite")
        if self.invite_now is not None:
            self.invite_now = replace(self.invite_now, state="ended", reason="ended here")

    async def look(self, code: str) -> Introduction:
        self._did(f"look {code}")
        self.looked = Introduction(PEER, "laptop", 1, 5, 8)
        return self.looked

    async def join(self, agreed: bool) -> Joined | None:
        self._did(f"join {agreed}")
        if self.looked is None:
            raise Conflict("nobody waits for an answer", "begin with the code")
        self.looked = None
        return Joined(PEER, "laptop", 2) if agreed else None

    async def leave(self) -> SwarmStatus:
        self._did("leave")
        return await self.status()

    async def recover(self) -> SwarmStatus:
        self._did("recover")
        return await self.status()

    async def remove(self, node: str) -> SwarmStatus:
        self._did(f"remove {node}")
        return await self.status()

    async def rename(self, name: str) -> SwarmStatus:
        self._did(f"rename {name}")
        self.name = name
        return await self.status()

    async def barrier(self) -> None:
        self._did("barrier")
        self.barriers += 1


class FakeClaims:
    """Leases and registers without a clock."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._registers: dict[str, Register] = {}
        self._tokens = itertools.count(1)

    async def lease(self, key: str, holder: str, ttl_s: float) -> Lease:
        if key in self._leases:
            raise Conflict(f"{key} is held by {self._leases[key].holder}", "wait")
        self._leases[key] = Lease(key, holder, next(self._tokens), ttl_s)
        return self._leases[key]

    async def renew(self, key: str, token: int) -> Lease:
        return self._held(key, token)

    async def release(self, key: str, token: int) -> None:
        del self._leases[self._held(key, token).key]

    async def leases(self) -> Sequence[Lease]:
        return list(self._leases.values())

    async def held(self, key: str) -> Lease:
        if key not in self._leases:
            raise NotFound(f"nobody holds {key}", "see the others")
        return self._leases[key]

    async def register(self, key: str) -> Register:
        if key not in self._registers:
            raise NotFound(f"no register {key}", "set it")
        return self._registers[key]

    async def set_register(self, key: str, value: str, version: int | None, expected: str | None) -> Register:
        now = self._registers.get(key)
        if version not in (None, now.version if now else 0) or expected not in (None, now.value if now else None):
            raise Conflict(f"register {key} has changed", "read it again")
        self._registers[key] = Register(key, value, (now.version if now else 0) + 1)
        return self._registers[key]

    def _held(self, key: str, token: int) -> Lease:
        if key not in self._leases or self._leases[key].token != token:
            raise Conflict(f"the lease on {key} has ended", "stop")
        return self._leases[key]

"""Machines with one swarm key, over real links; what each household does is noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from hiveminddb.daemon.swarm import unattended
from hiveminddb.daemon.swarm.joining import Joining, Place
from hiveminddb.daemon.swarm.unattended import Unattended
from hiveminddb.errors import Conflict
from hiveminddb.model import NodeId
from hiveminddb.sync import pairing
from hiveminddb.sync.announcement import Seen, swarm_tag
from hiveminddb.sync.pairing import Introduction
from hiveminddb.sync.swarm_key import SwarmKey
from tests.sync.meeting import Peer, until

pytestmark = pytest.mark.anyio

KEY, OTHER_KEY = "correct horse battery", "wrong horse battery"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unattended, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pairing, "PAUSE_S", 0.0)


@dataclass
class House:
    """A node and the swarm it is in; `seen_now` is what discovery would tell it."""

    peer: Peer
    swarm_id: str
    mates: int = 0
    seen_now: list[Seen] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    may_admit: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def me(self) -> NodeId:
        return self.peer.node

    def swarm(self) -> str:
        return self.swarm_id

    def alone(self) -> bool:
        return self.mates == 0

    def seen(self) -> Sequence[Seen]:
        return self.seen_now

    def static(self) -> Sequence[Place]:
        return []

    def places(self) -> Sequence[Place]:
        return []

    async def leave(self) -> None:
        self.did.append("left")
        self.swarm_id, self.mates = f"of {self.me}", 0

    async def introduce(self) -> Introduction:
        return Introduction(self.me, self.peer.public, "a node", self.swarm_id, 1, 1 + self.mates)

    async def admit(self, guest: Introduction) -> bytes:
        await self.may_admit.wait()
        if guest.nodes > 1:
            raise Conflict("it is in a swarm of several", "")
        self.mates += 1
        self.did.append(f"admitted {guest.node}")
        return self.swarm_id.encode()

    async def adopt(self, host: Introduction, welcome: bytes) -> None:
        self.swarm_id, self.mates = welcome.decode(), host.nodes
        self.did.append(f"joined {host.node}")

    def announces(self, key_tag: str) -> Seen:
        alone = self.mates == 0
        return Seen(self.me, swarm_tag(self.swarm_id), alone, None, key_tag, (self.peer.address,), 1)


@asynccontextmanager
async def house(swarm: str, mates: int, key: str = KEY) -> AsyncIterator[tuple[House, Unattended]]:
    """A node that takes guests; it goes looking inside `async with` of the second."""
    async with Peer().open() as peer:
        home = House(peer, swarm, mates)
        home.may_admit.set()
        secret = SwarmKey(key, lambda: 0.0)
        joining = Joining(peer.links, home, secret, lambda: None)
        peer.links.pairing = joining.knock
        yield home, Unattended(SwarmKey(KEY, lambda: 0.0).tag, home, joining)


def first_of(one: str, other: str) -> tuple[str, str]:
    """The two swarm ids, the one that comes first in everybody's order first."""
    low, high = sorted((one, other), key=swarm_tag)
    return low, high


TAG = SwarmKey(KEY, lambda: 0.0).tag


async def test_a_node_alone_joins_a_swarm_of_several() -> None:
    async with house("several", 2) as (host, _), house("one", 0) as (guest, looking):
        guest.seen_now = [host.announces(TAG)]
        async with looking:
            await until(lambda: guest.swarm_id == "several")
        assert guest.did == [f"joined {host.me}"] and host.did == [f"admitted {guest.me}"]


async def test_members_of_a_later_swarm_leave_it_for_a_host_that_has_proved_the_key() -> None:
    low, high = first_of("one", "two")
    async with house(low, 2) as (host, _), house(high, 2) as (guest, looking):
        guest.seen_now = [host.announces(TAG)]
        async with looking:
            await until(lambda: guest.swarm_id == low)
        assert guest.did == ["left", f"joined {host.me}"]


async def test_nobody_leaves_a_swarm_for_a_host_that_only_announces_the_key() -> None:
    low, high = first_of("one", "two")
    async with house(low, 2, OTHER_KEY) as (host, _), house(high, 2) as (guest, looking):
        guest.seen_now = [host.announces(TAG)]
        async with looking:
            await until(lambda: not looking._tries.may(host.me))
        assert guest.did == [] and host.did == [] and guest.swarm_id == high


async def test_nobody_is_given_a_home_that_is_about_to_be_left() -> None:
    low, high = first_of("one", "two")
    async with (
        house(low, 1) as (host, _),
        house(high, 0) as (middle, moving),
        house("three", 0) as (third, looking),
    ):
        host.may_admit.clear()
        middle.seen_now, third.seen_now = [host.announces(TAG)], [middle.announces(TAG)]
        third.seen_now = [Seen(middle.me, swarm_tag(high), False, None, TAG, (middle.peer.address,), 1)]
        async with moving, looking:
            await until(lambda: not looking._tries.may(middle.me))
            assert middle.did == [] and third.did == []
            host.may_admit.set()
            await until(lambda: middle.swarm_id == low and third.swarm_id == low)
        assert third.did == [f"joined {middle.me}"]

"""How two machines become one swarm: an invite on one side and its code on the other, or one key on both.

The host makes the guest a member and gives it what a member begins with; the guest gives its own order up, keeps every
memory, and from then on merges like any other node.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from hiveminddb.errors import Conflict, Forbidden, HiveMindError, NotFound, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.swarm import Introduction, Invite, Joined
from hiveminddb.sync import invite as invites
from hiveminddb.sync import pairing
from hiveminddb.sync.address import Address
from hiveminddb.sync.links import Links
from hiveminddb.sync.pairing import invite_side, join_side
from hiveminddb.sync.pairingstream import PairingStream
from hiveminddb.sync.proof import KEY_DOOR, Door, Why
from hiveminddb.sync.swarm_key import SwarmKey

log = logging.getLogger(__name__)

# How long a machine with a code is looked for, and how often.
FIND_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 0.3


# Whether this node wants to join whom it has found.
Agree = Callable[[pairing.Introduction], Awaitable[bool]]


def awake_and_asleep() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps, where the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine that may be paired with answers, and the tag of its open invite where that is known."""

    addresses: Sequence[Address]
    node: NodeId | None = None
    invite_tag: str | None = None


class Household(Protocol):
    """The swarm that lets somebody in, or goes to live with another."""

    async def introduce(self) -> pairing.Introduction:
        """This node, as it presents itself to the other side."""
        ...

    async def admit(self, guest: pairing.Introduction) -> bytes:
        """Makes the guest a member; what it begins with. NoQuorum."""
        ...

    async def adopt(self, host: pairing.Introduction, welcome: bytes) -> None:
        """Becomes a member of the host's swarm; durable on return."""
        ...

    def places(self) -> Sequence[Place]:
        """Machines that are seen now, static addresses among them."""
        ...


@dataclass(frozen=True, slots=True)
class _Visit:
    """A join under way: the other side has proven the code, and a person looks at whom they have found."""

    found: asyncio.Future[pairing.Introduction]
    agreed: asyncio.Future[bool]
    task: asyncio.Task[pairing.Introduction | None]


class Joining:
    """Both sides of a join; `on_doors` is called when an invite opens or ends."""

    def __init__(self, links: Links, household: Household, key: SwarmKey | None, on_doors: Callable[[], None]) -> None:
        self._links, self._household, self._key, self._on_doors = links, household, key, on_doors
        self._invite: invites.Invite | None = None
        self._guest_name = ""
        self._visit: _Visit | None = None
        self._moving = False
        self._admitting = 0

    async def closed(self) -> None:
        """Ends what is under way."""
        self.end_invite()
        await self._hang_up()

    # -- the host

    @property
    def is_open(self) -> bool:
        """Whether an invite waits for its guest."""
        return self._invite is not None and self._invite.state in ("open", "joining")

    def tag(self, me: NodeId) -> str:
        """What is announced of an open invite, empty where none is."""
        return invites.tag(self._invite.code.nameplate, me) if self._invite and self.is_open else ""

    def invite(self) -> Invite:
        """A new code, in the place of one that is open."""
        self.end_invite()
        self._invite, self._guest_name = invites.Invite(awake_and_asleep), ""
        asyncio.get_running_loop().call_later(invites.LIFETIME_S + 1, self._on_doors)
        self._on_doors()
        log.info("invite opened")
        return self.invited()

    def invited(self) -> Invite:
        """How the latest invite stands; NotFound where there has been none."""
        invite = self._invite
        if invite is None:
            raise NotFound("nobody has been invited since the start", "make a code with `hmd invite`")
        left = timedelta(seconds=invite.expires - awake_and_asleep())
        return Invite(
            str(invite.code), datetime.now(UTC) + left, invite.state, invite.tries_left, invite.guest,
            self._guest_name, invite.reason,
        )  # fmt: skip

    def end_invite(self) -> None:
        """The code is worth nothing from now on; harmless where none is open."""
        if self._invite and self.is_open:
            self._invite.end("ended here")
            log.info("invite ended")
            self._on_doors()

    async def knock(self, stream: PairingStream) -> None:
        """A stranger that wants to come in."""
        me = await self._household.introduce()
        try:
            guest = await invite_side(stream, self._door, me, self._admit)
        except HiveMindError as error:
            log.warning("nobody let in address=%s reason=%s", stream.remote, error)
            raise
        finally:
            self._on_doors()
        if guest is None:
            log.info("guest did not want to join node=%s", guest)
            return
        if self._invite and self._invite.guest == guest.node:
            self._invite.done()
        log.info("node joined node=%s name=%r", guest.node, guest.name)

    def _door(self, number: int) -> Door | Why:
        if self._moving:
            return "busy"
        if number == KEY_DOOR:
            return self._key or "closed"
        invite = self._invite
        return invite if invite and self.is_open and invite.code.nameplate == number else "closed"

    async def _admit(self, guest: pairing.Introduction) -> bytes:
        if self._moving:
            raise Unavailable("this node is joining a swarm itself", "try again in a moment")
        self._guest_name = guest.name
        self._admitting += 1
        try:
            return await self._household.admit(guest)
        finally:
            self._admitting -= 1

    # -- the guest

    async def look(self, code: str) -> Introduction:
        """Finds and proves the other side, and keeps the line until `join`."""
        parsed = invites.parse(code)
        await self._hang_up()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[pairing.Introduction] = loop.create_future()
        agreed: asyncio.Future[bool] = loop.create_future()

        async def agree(host: pairing.Introduction) -> bool:
            found.set_result(host)
            return await agreed

        task = asyncio.create_task(self._find(parsed, agree))
        visit = self._visit = _Visit(found, agreed, task)
        waited: set[asyncio.Future[Any]] = {task, found}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            self._visit = None
            task.result()
            raise Unavailable("the other side hung up", "try again")
        host, me = visit.found.result(), await self._household.introduce()
        return Introduction(host.node, host.name, host.nodes, host.memories, me.memories)

    async def join(self, agreed: bool) -> Joined | None:
        """Joins whom `look` found, or hangs up; Conflict where nobody waits for the answer."""
        visit, self._visit = self._visit, None
        if visit is None or visit.task.done():
            raise Conflict("nobody waits to be joined", "give the code again with `hmd join CODE`")
        visit.agreed.set_result(agreed)
        host = await visit.task
        return Joined(host.node, host.name, host.nodes + 1) if host else None

    async def join_by_key(self, place: Place, agree: Agree) -> bool:
        """Joins a machine that has the same swarm key; whether that came about."""
        password = self._key.password() if self._key else None
        if self._key is None or password is None:
            return False
        try:
            return await self._pair(place, KEY_DOOR, password, agree) is not None
        except Forbidden:
            # Whoever only pretends to have the key has had one guess.
            self._key.judge(place.node or NodeId(""), False)
            raise

    async def _find(self, code: invites.Code, agree: Agree) -> pairing.Introduction | None:
        end = time.monotonic() + FIND_SECONDS
        reason: HiveMindError | None = None
        while time.monotonic() < end:
            for place in self._household.places():
                if not _may_be(place, code):
                    continue
                try:
                    return await self._pair(place, code.nameplate, code.password(), agree)
                except (Unavailable, NotFound) as error:
                    reason = error
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        raise NotFound(
            f"nobody here answers to the code {code.nameplate}-…" + (f": {reason.message}" if reason else ""),
            "is `hmd invite` still waiting on the other machine, on the same network? Without multicast, give --peers",
        )

    async def _pair(
        self,
        place: Place,
        door: int,
        password: bytes,
        agree: Agree,
    ) -> pairing.Introduction | None:
        unreachable = Unavailable("the machine has no address", "try again in a moment")
        begun = False

        async def agreed(host: pairing.Introduction) -> bool:
            nonlocal begun
            if self._moving or self._admitting:
                return False
            # Who moves gives nobody a home that it is about to leave.
            self._moving = begun = True
            return await agree(host)

        try:
            for address in place.addresses:
                try:
                    async with self._links.pair(address) as stream:
                        home = self._household
                        return await join_side(stream, door, password, home.introduce, agreed, home.adopt)
                except Unavailable as error:
                    unreachable = error
            raise unreachable
        finally:
            if begun:
                self._moving = False

    async def _hang_up(self) -> None:
        visit, self._visit = self._visit, None
        if visit is None:
            return
        visit.task.cancel()
        with suppress(asyncio.CancelledError, HiveMindError):
            await visit.task


def _may_be(place: Place, code: invites.Code) -> bool:
    """Whether an invite with this code may be open there: it says so, or is only known by its address."""
    return place.node is None or place.invite_tag == invites.tag(code.nameplate, place.node)

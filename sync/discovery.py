"""Discovery: nodes find each other on the networks they are on, by multicast DNS (RFC 6762, RFC 6763).

What counts is what the cache of records says now: every two seconds, and whenever a record comes, it is looked at
anew and differences are told. The same look finds this machine's own addresses changed, or that it has slept.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Self

from zeroconf import DNSOutgoing, DNSPointer, DNSQuestion, current_time_millis  # type: ignore[attr-defined]
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
from zeroconf.const import _CLASS_IN, _FLAGS_QR_QUERY, _TYPE_PTR

from hiveminddb.model import NodeId
from hiveminddb.sync.announcement import MOST_ADDRESSES, SERVICE, Announcement, Seen, properties, seen, service_name
from hiveminddb.sync.interfaces import Interfaces, present

log = logging.getLogger(__name__)

LOOK_S = 2.0
# A question goes out when nobody's answer was heard for so long: one in a network, however many nodes there are.
ASK_S = 20.0
# Records live so long without being heard again; a node that vanished without a word is lost then.
TTL_S = 75
# The wall clock ran on by so much more than ours: the machine has slept.
SLEPT_S = 5.0
# What is said should come back to this machine as to all others.
_ECHO_MS = 4000.0
# A question asked at the start is answered in this time.
_YOUNG_MS = 3000.0
# What a network full of inventions may make us remember.
MOST_NODES = 512


class Discovery:
    """Announces this node once told to, and tells who else is there: `on_seen` at every difference, then `on_lost`.

    Without multicast it says so once, and nothing else happens. Both callbacks run on the loop, while `run` does.
    """

    def __init__(self, node: NodeId, on_seen: Callable[[Seen], None], on_lost: Callable[[NodeId], None]) -> None:
        self.seen: dict[NodeId, Seen] = {}
        self._node = node
        self._on_seen = on_seen
        self._on_lost = on_lost
        self._wanted: Announcement | None = None
        self._news = asyncio.Event()
        self._voice: _Voice | None = None
        self._off = False

    def announce(self, announcement: Announcement | None) -> None:
        """What is said from now on; None: nothing, this node only listens."""
        if announcement != self._wanted:
            self._wanted = announcement
            self._news.set()

    async def run(self) -> None:
        """Listens and announces until it is cancelled, and then says goodbye. To be supervised by who calls it."""
        # Its warnings name sockets, many times; the one here says what to do.
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
        drift = _drift()
        try:
            while True:
                slept = abs(_drift() - drift) > SLEPT_S
                drift = _drift()
                await self._look(present(), slept)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()
                self._news.clear()
        finally:
            await self._fall_silent()

    async def _look(self, interfaces: Interfaces, slept: bool) -> None:
        """Speaks through these interfaces, as far as the system lets us, and compares what is heard."""
        try:
            self._voice = self._voice or await _Voice.raised(self._node, interfaces, self._news.set)
            await self._voice.follow(interfaces, self._wanted, anew=slept)
        except (OSError, RuntimeError, ZeroconfError) as error:
            self._complain(str(error))
            await self._fall_silent()
            return
        self._compare(self._voice.heard(), self._voice.young)
        if self._voice.unheard:
            self._complain("multicast does not work here: what is said does not even come back")
        elif self._off:
            self._off = False
            log.info("discovery back interfaces=%d", len(interfaces.multicast))

    def _complain(self, reason: str) -> None:
        if not self._off:
            log.warning("discovery off reason=%r hint='name the other machines: peers = host:port'", reason)
        self._off = True

    async def _fall_silent(self) -> None:
        if self._voice:
            voice, self._voice = self._voice, None
            with suppress(OSError, RuntimeError, ZeroconfError):
                await voice.close()

    def _compare(self, heard: Iterable[Seen], young: bool) -> None:
        now = {other.node: other for other in heard if other.node != self._node}
        for node in () if young else self.seen.keys() - now.keys():
            del self.seen[node]
            log.info("discovery lost node=%s", node)
            self._on_lost(node)
        for node, other in now.items():
            if self.seen.get(node) == other:
                continue
            if node not in self.seen:
                log.info("discovery seen node=%s addresses=%s", node, ",".join(map(str, other.addresses)))
            self.seen[node] = other
            self._on_seen(other)


class _Voice:
    """One responder and browser on the interfaces there are; `raised` and `close` are its life."""

    def __init__(self, node: NodeId, zeroconf: AsyncZeroconf, interfaces: Interfaces, news: Callable[[], None]) -> None:
        self._node = node
        self._zeroconf = zeroconf
        self._interfaces = interfaces
        self._news = news
        self._said: tuple[Announcement, tuple[str, ...]] | None = None
        self._info: AsyncServiceInfo | None = None
        self._saying: asyncio.Future[Any] | None = None
        self._browser = self._browse()
        self._raised = self._since = self._asked = current_time_millis()
        self._echoed = False
        self._patience = _patience()

    @classmethod
    async def raised(cls, node: NodeId, interfaces: Interfaces, news: Callable[[], None]) -> Self:
        """Raises OSError, RuntimeError or ZeroconfError where the system does not let us."""
        zeroconf = AsyncZeroconf(interfaces=list(interfaces.multicast))
        try:
            await zeroconf.zeroconf.async_wait_for_start()
        except BaseException:
            await zeroconf.async_close()
            raise
        return cls(node, zeroconf, interfaces, news)

    @property
    def young(self) -> bool:
        """Whether it may not have heard everybody yet."""
        return current_time_millis() - self._raised < _YOUNG_MS

    @property
    def unheard(self) -> bool:
        """Whether something has been said for a while that this machine itself never heard, as it should."""
        return self._said is not None and not self._echoed and current_time_millis() - self._since > _ECHO_MS

    async def follow(self, interfaces: Interfaces, wanted: Announcement | None, anew: bool) -> None:
        """Says what is wanted through these interfaces; on other ones, or anew, it also asks again who is there."""
        moved = interfaces != self._interfaces
        self._interfaces = interfaces
        if anew and self._said:
            self._said = (self._said[0], ())
        # New interfaces announce what is registered: it has to be right before they come.
        await self._say(wanted)
        if await self._lend_ears(moved) or anew:
            await self._browser.async_cancel()
            self._browser = self._browse()

    async def _lend_ears(self, moved: bool) -> bool:
        """Opens what is missing and closes what is gone; whether anything has changed.

        An IPv6 address that has just come cannot be used for a second or two: what failed is tried again each time.
        """
        senders = len(self._zeroconf.zeroconf.engine.senders)
        wanted = list(self._interfaces.multicast)
        if not moved and senders >= len(wanted):
            return False
        await self._zeroconf.async_update_interfaces(wanted)
        return moved or len(self._zeroconf.zeroconf.engine.senders) > senders

    def heard(self) -> list[Seen]:
        """All nodes the network tells of now. Asks again where nobody has answered anybody for a while."""
        now = current_time_millis()
        core = self._zeroconf.zeroconf
        records = core.cache.get_all_by_details(SERVICE, _TYPE_PTR, _CLASS_IN)
        pointers = [record for record in records if isinstance(record, DNSPointer)]
        names = sorted({pointer.alias for pointer in pointers if not pointer.is_expired(now)})[:MOST_NODES]
        self._echoed = self._echoed or service_name(self._node) in names
        answered = max((pointer.created for pointer in pointers), default=0.0)
        if now - max(answered, self._asked) > self._patience:
            self._asked, self._patience = now, _patience()
            self._ask()
        infos = [info for name in names if (info := AsyncServiceInfo(SERVICE, name)).load_from_cache(core)]
        found = (seen(info.name, info.decoded_properties, info.port, info.parsed_scoped_addresses()) for info in infos)
        return [node for node in found if node]

    async def close(self) -> None:
        """Says goodbye."""
        if self._saying:
            self._saying.cancel()
        await self._browser.async_cancel()
        await self._zeroconf.async_close()

    async def _say(self, wanted: Announcement | None) -> None:
        """Registers, changes or withdraws the service; nothing where that is what was said last."""
        addresses = (wanted.host,) if wanted and wanted.host else self._interfaces.addresses
        saying = (wanted, addresses) if wanted else None
        if saying == self._said:
            return
        if self._saying:
            # Said three times over half a second: the rest of it would come after what is said now.
            self._saying.cancel()
        known, self._info = self._info, self._described(wanted, addresses) if wanted else None
        self._saying = asyncio.ensure_future(await self._spread(known, self._info))
        self._said = saying

    async def _spread(self, known: AsyncServiceInfo | None, info: AsyncServiceInfo | None) -> Awaitable[Any]:
        if known and info:
            return await self._zeroconf.async_update_service(info)
        if known:
            return await self._zeroconf.async_unregister_service(known)
        assert info is not None
        self._since = current_time_millis()
        # The name is the hash of a key: nobody else has it, and no second is spent on asking.
        return await self._zeroconf.async_register_service(info, cooperating_responders=True)

    def _described(self, wanted: Announcement, addresses: tuple[str, ...]) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            SERVICE,
            service_name(self._node),
            port=wanted.port,
            properties=properties(wanted),
            server=f"{self._node}.local.",
            host_ttl=TTL_S,
            other_ttl=TTL_S,
            parsed_addresses=list(addresses[:MOST_ADDRESSES]),
        )

    def _browse(self) -> AsyncServiceBrowser:
        return AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._changed])

    def _changed(self, **_: object) -> None:
        self._news()

    def _ask(self) -> None:
        """A question without known answers: all say all, to all, and everybody's records are fresh again."""
        question = DNSOutgoing(_FLAGS_QR_QUERY)
        question.add_question(DNSQuestion(SERVICE, _TYPE_PTR, _CLASS_IN))
        self._zeroconf.zeroconf.async_send(question)


def _patience() -> float:
    """Milliseconds, so different among nodes that seldom two ask at once."""
    return 1000 * ASK_S * random.uniform(1, 1.5)


def _drift() -> float:
    """The wall clock beside one that stands still while the machine sleeps."""
    return time.time() - time.monotonic()

"""The swarm as one part of the daemon: opens what belongs to it in order, and leads news from one to the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.config import Config
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.origin import renew
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm.address_book import AddressBook
from hiveminddb.daemon.swarm.arrivals import Arrivals
from hiveminddb.daemon.swarm.beginning import begin, begin_without_log
from hiveminddb.daemon.swarm.citizenship import Citizenship
from hiveminddb.daemon.swarm.claims import Claims
from hiveminddb.daemon.swarm.commands import RemoveMember
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.deputy import Deputy
from hiveminddb.daemon.swarm.desk import SwarmDesk
from hiveminddb.daemon.swarm.errands import Errands
from hiveminddb.daemon.swarm.home import Home
from hiveminddb.daemon.swarm.joining import Joining
from hiveminddb.daemon.swarm.knowledge import Knowledge
from hiveminddb.daemon.swarm.leading import Leading
from hiveminddb.daemon.swarm.lease_clock import LeaseClock
from hiveminddb.daemon.swarm.machine import Machine, Taken
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.news import News
from hiveminddb.daemon.swarm.ordering import Ordering
from hiveminddb.daemon.swarm.outlook import Outlook
from hiveminddb.daemon.swarm.questions import Farewell
from hiveminddb.daemon.swarm.reach import Face, Reach
from hiveminddb.daemon.swarm.regaining import Regaining
from hiveminddb.daemon.swarm.standing import Standing
from hiveminddb.daemon.swarm.unattended import Unattended
from hiveminddb.daemon.swarm.vector_exchange import VectorExchange
from hiveminddb.daemon.swarm.view import Sightings, SwarmView
from hiveminddb.model import Change, NodeId
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.address import Address
from hiveminddb.sync.announcement import swarm_tag
from hiveminddb.sync.antientropy import Batch
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.identity import node_id
from hiveminddb.sync.links import Links
from hiveminddb.sync.raft.consensus import View
from hiveminddb.sync.swarm_key import SwarmKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Channelled:
    """One channel of the links, as those who only speak on it see it."""

    links: Links
    channel: Channel

    def send(self, peer: NodeId, payload: bytes) -> bool:
        return self.links.send(peer, self.channel, payload)

    def connected(self) -> frozenset[NodeId]:
        return self.links.connected()


@dataclass(frozen=True, slots=True)
class Bells:
    """What commits ring for the swarm."""

    ordering: Bell
    knowledge: Bell


class Swarm:
    """Open inside `async with`; `desk` answers what callers ask of it."""

    def __init__(
        self,
        config: Config,
        key: Ed25519PrivateKey,
        database: Database,
        pipeline: Pipeline,
        intake: Intake,
        bells: Bells,
    ) -> None:
        self._config, self._key, self._database, self._bells = config, key, database, bells
        self._pipeline, self._intake = pipeline, intake
        self.me = node_id(key)
        self._has_begun_anew = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._joining.closed()
        await self._stack.aclose()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Tasks whose end is the daemon's end."""
        return [self._machine.task, self._failing]

    async def _open(self, stack: AsyncExitStack) -> None:
        standing = await self._database.write(self._begin)
        self._errands, self._news = await stack.enter_async_context(Errands()), News()
        self._members = Members(self.me, self._database)
        await self._members.reload()
        self._machine = await stack.enter_async_context(Machine(self._database, self._absorb))
        self._make(standing)
        self._lead_news()
        await self._start(stack)

    def _make(self, standing: Standing) -> None:
        database, config = self._database, self._config
        self._links = self._make_links(standing)
        self._sightings = Sightings(self._links)
        self._council = Council(
            self.me, config.data_dir, standing, self._machine, Channelled(self._links, Channel.RAFT),
            self._begin_without_log,
        )  # fmt: skip
        self._knowledge = Knowledge(
            database, self._arrive, Channelled(self._links, Channel.KNOWLEDGE), self._bells.knowledge, self._origin
        )
        peer_addr = Address(config.peer_addr.host, config.peer_addr.port)
        peers = [Address(one.host, one.port) for one in config.peers]
        self._reach = Reach(self.me, self._links, peer_addr, config.chosen("peer_addr"), peers)
        self.outlook = outlook = Outlook(
            self._pipeline, self._members, self._council, self._machine, self._links, self._reach, self._sightings,
            self._knowledge.told, database,
        )  # fmt: skip
        self.ordering = Ordering(self.me, database, self._council, outlook, self._bells.ordering)
        self._arrivals = Arrivals(database, self._intake, self._machine, outlook.votes)
        self._deputy = Deputy(self._members, database, self._council, self._machine, self._links, self._news)
        self._lease_clock = LeaseClock(database, self._council, self._machine)
        self._leading_bell = Bell()
        self._leading = Leading(self._members, database, self._council, self._machine, outlook, self._leading_bell)
        self._citizenship = Citizenship(
            self._key, config.name, self._members, database, self._council, self._machine, self._deputy, outlook,
            self._news,
        )  # fmt: skip
        self._regaining = Regaining(self._members, self._council, self._deputy, self._citizenship, self._links)
        self._swarm_key = SwarmKey(config.swarm_key, time.monotonic) if config.swarm_key else None
        self._home = Home(self.me, self._citizenship, self._reach, self._council, self._members)
        self._joining = Joining(self._links, self._home, self._swarm_key, self._on_doors)
        self.claims = Claims(database, self._deputy, self._machine)
        self._address_book = AddressBook(database)
        # Nodes that were removed, and at which step.
        self._parting: dict[NodeId, int] = {}
        self.exchange = VectorExchange(self.me, database, Channelled(self._links, Channel.VECTORS))
        self._view = SwarmView(
            self.me, config.name, self._members, database, self._council, self._sightings, self._links,
            self._knowledge.told, self._origin,
        )  # fmt: skip
        self.desk = SwarmDesk(
            self._view, self._members, self._council, self._citizenship, self._deputy, self._joining, self._reach
        )

    async def _start(self, stack: AsyncExitStack) -> None:
        for part in (
            self._knowledge, self.exchange, self.ordering, self._council, self._links, self._deputy, self._leading,
            self._reach,
        ):  # fmt: skip
            await stack.enter_async_context(part)
        self._failing = asyncio.create_task(self._council.failed())
        stack.callback(self._failing.cancel)
        # What was taken in part when this node ended.
        self._errands.run(self._arrivals.catch_up())
        self._errands.run(supervised("lease clock", self._lease_clock.run))
        self._errands.run(supervised("regaining", self._regaining.run))
        if self._swarm_key:
            await stack.enter_async_context(Unattended(self._swarm_key.tag, self._home, self._joining))
        self._open_doors()
        await self._be_reachable()
        self.outlook.seek(await self._address_book.load())

    def _make_links(self, standing: Standing) -> Links:
        handlers = {
            Channel.RAFT: self._on_raft, Channel.KNOWLEDGE: self._on_knowledge, Channel.VECTORS: self._on_vectors
        }  # fmt: skip
        return Links(
            self._key, self._members.key_of, handlers, self._on_up, self._on_down, self._answer,
            swarm_tag(standing.swarm),
        )  # fmt: skip

    def _begin(self, tx: Transaction) -> Standing:
        key = self._key.public_key().public_bytes_raw()
        return begin(tx, NodeRow(self.me, key, self._config.name, "voter", 0), self._origin())

    async def _begin_without_log(self) -> Standing:
        return await self._database.write(lambda tx: begin_without_log(tx, self.me))

    # -- news, from one part to the others

    def _lead_news(self) -> None:
        self._members.on_change = self._on_members
        self._machine.on_any = self._news.tell
        self._machine.on_placed = self.ordering.foreseen
        self._machine.on_order.append(self._on_order)
        self._machine.on_members.append(self._on_directory)
        self._council.on_view.append(self._on_view)
        self._deputy.on_later, self._deputy.on_learned = self._citizenship.follow, self._citizenship.learn
        self._citizenship.on_moved = self._on_moved
        self._deputy.on_farewell = lambda: self._errands.run(self._citizenship.go_alone())
        self._knowledge.on_told = self._on_told
        self._knowledge.on_outdated = lambda: self._errands.run(self._begin_anew())
        self._knowledge.is_carrier = lambda: not self._council.has_quorum or self.outlook.has_learners()
        self._arrivals.on_ordered, self._arrivals.on_taken = self.ordering.moved_on, self._on_arrived
        self.ordering.on_must_spread = self._bells.knowledge.ring

    def _on_up(self, node: NodeId) -> None:
        self._sightings.up(node)
        if address := self._links.address(node):
            members = frozenset(row.id for row in self._members.rows)
            self._errands.run(self._address_book.note(node, address, members))
        self._council.peer_up(node)
        self._knowledge.peer_up(node)
        self._deputy.peer_up(node)
        self._regaining.bell.ring()
        self.exchange.peer_up(node)
        self._bells.ordering.ring()

    def _on_down(self, node: NodeId) -> None:
        self._sightings.down(node, self._knowledge.told.get(node))
        self._council.peer_down(node)
        self._knowledge.peer_down(node)
        self.exchange.peer_down(node)

    def _on_raft(self, node: NodeId, payload: bytes) -> None:
        if node in self._members:
            self._council.received(node, payload)

    def _on_knowledge(self, node: NodeId, payload: bytes) -> None:
        if node in self._members:
            self._knowledge.received(node, payload)

    async def _on_vectors(self, node: NodeId, payload: bytes) -> None:
        if node in self._members:
            await self.exchange.received(node, payload)

    async def _answer(self, node: NodeId, payload: bytes) -> bytes:
        return await self._deputy.answer(node, payload)

    def _on_view(self, view: View) -> None:
        self._news.tell()
        self._lease_clock.lead(view.role == "leader" and view.has_quorum)
        self._bells.ordering.ring()
        self._leading_bell.ring()

    def _on_told(self) -> None:
        self._leading_bell.ring()
        self._bells.ordering.ring()

    def _on_order(self, taken: Sequence[Taken]) -> None:
        if not taken:
            self._errands.run(self.ordering.reload())
        for one in taken:
            self.ordering.moved_on(NodeId(one.result.text), one.result.number)

    def _on_directory(self, taken: Sequence[Taken]) -> None:
        """Steps that changed it; none where another state took its place."""
        for one in taken:
            if isinstance(one.command, RemoveMember) and one.result.outcome == "done":
                self._parting[NodeId(one.command.node)] = one.step
        self._errands.run(self._members.reload())

    def _on_members(self, gone: frozenset[NodeId]) -> None:
        self._news.tell()
        self._leading_bell.ring()
        if self.me in gone:
            self._errands.run(self._citizenship.go_alone())
        else:
            self._errands.run(self._renewed(gone))

    async def _renewed(self, gone: frozenset[NodeId]) -> None:
        # A node that leaves sees all others go: they are not told so.
        standing = self._council.standing
        for node in gone & self._parting.keys():
            await self.outlook.tell(node, Farewell(standing.swarm, standing.epoch, self._parting.pop(node)))
        self._links.refresh()
        self._bells.knowledge.ring()
        await self._be_reachable()

    def _open_doors(self) -> None:
        self._links.pairing = self._joining.knock if self._joining.is_open or self._swarm_key else None

    def _on_doors(self) -> None:
        self._open_doors()
        self._errands.run(self._be_reachable())

    async def _be_reachable(self) -> None:
        wanted = self._members.others or self._reach.static or self._joining.is_open or self._swarm_key
        if not wanted:
            self._reach.fall_silent()
            return
        tag, key_tag = swarm_tag(self._council.standing.swarm), self._swarm_key.tag if self._swarm_key else None
        await self._reach.open(Face(tag, not self._members.others, self._joining.tag(self.me), key_tag))

    async def _on_moved(self, standing: Standing) -> None:
        self._links.swarm_tag = swarm_tag(standing.swarm)
        await self._members.reload()
        self._links.refresh()
        await self.ordering.reload()
        await self._be_reachable()

    # -- this node's data, and what comes to it

    def _origin(self) -> NodeId:
        return self._pipeline.origin

    def _absorb(self, tx: Transaction, changes: Sequence[Change]) -> None:
        self._intake.take(tx, changes, ordered=True)

    async def _arrive(self, batch: Batch) -> None:
        await self._arrivals.take(batch)

    def _on_arrived(self) -> None:
        self._news.tell()
        self._bells.knowledge.ring()

    async def _begin_anew(self) -> None:
        """A peer has changes of this node that it does not know of itself: it has become an older copy of itself."""
        if self._has_begun_anew:
            return
        self._has_begun_anew = True

        def begin(tx: Transaction) -> None:
            self._pipeline.origin = renew(tx)

        await self._database.write(begin)
        origin = self._origin()
        log.warning("this node's data is older than what it told others: a new origin begins origin=%s", origin)
        await self._citizenship.bar(origin)
        self._regaining.bell.ring()

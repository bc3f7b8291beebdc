"""The swarm as one part of the daemon: opens what belongs to it in order, and leads news from one to the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
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
from hiveminddb.daemon.swarm import questions
from hiveminddb.daemon.swarm.address_book import AddressBook
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
from hiveminddb.daemon.swarm.questions import Farewell, Look
from hiveminddb.daemon.swarm.reach import Face, Reach
from hiveminddb.daemon.swarm.regaining import Regaining
from hiveminddb.daemon.swarm.standing import Standing
from hiveminddb.daemon.swarm.unattended import Unattended
from hiveminddb.daemon.swarm.vector_exchange import VectorExchange
from hiveminddb.daemon.swarm.view import Sightings, SwarmView
from hiveminddb.errors import HiveMindError
from hiveminddb.model import Change, NodeId
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.address import Address
from hiveminddb.sync.announcement import swarm_tag
from hiveminddb.sync.antientropy import Batch, Have, Vector, received
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.identity import node_id
from hiveminddb.sync.links import Links
from hiveminddb.sync.raft.consensus import View
from hiveminddb.sync.swarm_key import SwarmKey

log = logging.getLogger(__name__)

# A node that was removed or should look is told so, if it can be told at once.
TELL_SECONDS = 0.5


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
        database, config, enter = self._database, self._config, stack.enter_async_context
        standing = await database.write(self._begin)
        self._errands, self._news = await enter(Errands()), News()
        self._members = Members(self.me, database)
        await self._members.reload()
        self._machine = await enter(Machine(database, self._absorb))
        self._links = self._make_links(standing)
        self._council = Council(
            self.me, config.data_dir, standing, self._machine, Channelled(self._links, Channel.RAFT),
            self._begin_without_log,
        )  # fmt: skip
        self._knowledge = Knowledge(
            database, self._take, Channelled(self._links, Channel.KNOWLEDGE), self._bells.knowledge, self.origin
        )
        self.ordering = Ordering(self.me, database, self._council, self, self._bells.ordering)
        self._deputy = Deputy(self._members, database, self._council, self._machine, self._links, self._news)
        self._lease_clock = LeaseClock(database, self._council, self._machine)
        self._leading_bell = Bell()
        self._leading = Leading(self._members, database, self._council, self._machine, self, self._leading_bell)
        self._citizenship = Citizenship(
            self._key, config.name, self._members, database, self._council, self._machine, self._deputy, self,
            self._news,
        )  # fmt: skip
        self._regaining = Regaining(self._members, self._council, self._deputy, self._citizenship, self._links)
        peer_addr = Address(config.peer_addr.host, config.peer_addr.port)
        peers = [Address(one.host, one.port) for one in config.peers]
        self._reach = Reach(self.me, self._links, peer_addr, config.chosen("peer_addr"), peers)
        self._swarm_key = SwarmKey(config.swarm_key, time.monotonic) if config.swarm_key else None
        self._home = Home(self.me, self._citizenship, self._reach, self._council, self._members)
        self._joining = Joining(self._links, self._home, self._swarm_key, self._on_doors)
        self.claims = Claims(database, self._deputy, self._machine)
        self._address_book = AddressBook(database)
        self._sightings = Sightings(self._links)
        # Nodes that were removed, and at which step.
        self._parting: dict[NodeId, int] = {}
        self.exchange = VectorExchange(self.me, database, Channelled(self._links, Channel.VECTORS))
        self._view = SwarmView(
            self.me, config.name, self._members, database, self._council, self._sightings, self._links,
            self._knowledge.told, self.origin,
        )  # fmt: skip
        self.desk = SwarmDesk(
            self._view, self._members, self._council, self._citizenship, self._deputy, self._joining, self._reach
        )
        self._lead_news()
        for part in (
            self._knowledge, self.exchange, self.ordering, self._council, self._links, self._deputy, self._leading,
            self._reach,
        ):  # fmt: skip
            await enter(part)
        self._failing = asyncio.create_task(self._council.failed())
        stack.callback(self._failing.cancel)
        self._errands.run(supervised("lease clock", self._lease_clock.run))
        self._errands.run(supervised("regaining", self._regaining.run))
        if self._swarm_key:
            await enter(Unattended(self._swarm_key.tag, self._home, self._joining))
        self._open_doors()
        await self._be_reachable()
        self.seek(await self._address_book.load())

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
        return begin(tx, NodeRow(self.me, key, self._config.name, "voter", 0), self.origin())

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
        self._deputy.on_farewell = lambda: self._errands.run(self._citizenship.go_alone())
        self._knowledge.on_told = self._on_told
        self._knowledge.on_outdated = lambda: self._errands.run(self._begin_anew())
        self._knowledge.is_carrier = lambda: not self._council.has_quorum or self._has_learners()
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
            await self._tell(node, Farewell(standing.swarm, standing.epoch, self._parting.pop(node)))
        self._links.refresh()
        self._bells.knowledge.ring()
        await self._be_reachable()

    async def _tell(self, node: NodeId, what: Farewell | Look) -> None:
        try:
            await self._links.call(node, questions.encode(what), TELL_SECONDS)
        except HiveMindError as error:
            log.debug("not told node=%s reason=%s", node, error)

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

    # -- changes of others

    def _absorb(self, tx: Transaction, changes: Sequence[Change]) -> None:
        self._intake.take(tx, changes, ordered=True)

    async def _take(self, batch: Batch) -> None:
        """What a peer told this node of; an order that does not fit is reported by whoever supervises the pull."""
        carried = [received(change) for change in batch.changes]
        runs = [Run(run.seq, run.origin, run.counter, run.count) for run in batch.runs]
        extend = self.me not in self._council.voters

        def take(tx: Transaction) -> dict[NodeId, int]:
            self._intake.take(tx, carried)
            # It may have become a voter while this waited.
            tx.order.put(runs, extend and self.me not in self._council.voters)
            return dict(tx.order.ordered)

        write = self._machine.aside if extend else self._database.write
        for origin, counter in (await write(take)).items():
            self.ordering.moved_on(origin, counter)
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
        log.warning("this node's data is older than what it told others: a new origin begins origin=%s", self.origin())
        await self._citizenship.bar(self.origin())
        self._regaining.bell.ring()

    # -- what other parts see of this one

    def origin(self) -> NodeId:
        """Under which this node's changes are made."""
        return self._pipeline.origin

    def fresh(self, origin: NodeId, counter: int) -> Sequence[Change] | None:
        """The changes of an origin after a counter; None where they must be looked up."""
        return self._pipeline.fresh.following(origin, counter)

    def has_quorum(self) -> bool:
        """Whether an order can be decided now, here or through a voter."""
        return self._council.has_quorum or (
            self.me not in self._council.voters and bool(self._links.connected()) and bool(self._members.others)
        )

    async def placed(self, counter: int, seconds: float) -> int | None:
        """The position of this node's change with that counter, None where it gets none in that time."""
        return await self.ordering.placed(counter, seconds)

    def leads(self) -> bool:
        """Whether this node leads."""
        return self._council.leads

    def voters(self) -> frozenset[NodeId]:
        """Who decides."""
        return self._council.voters

    def vectors(self) -> Mapping[NodeId, Vector]:
        """The version vectors that linked nodes last told."""
        return {node: has.vector for node, has in self._knowledge.told.items()}

    def away_for(self, node: NodeId) -> float:
        """Seconds since the last link with a node, or since the start."""
        return self._sightings.away_for(node)

    def connected(self) -> frozenset[NodeId]:
        """The nodes that are linked."""
        return self._links.connected()

    def told(self) -> Mapping[NodeId, Have]:
        """What linked nodes last said they have."""
        return self._knowledge.told

    def addresses(self) -> Mapping[NodeId, Sequence[Address]]:
        """Where members were reached."""
        found = {node: [address] for node, address in self._sightings.addresses.items() if node in self._members}
        return found | {self.me: self._reach.own()}

    def seek(self, known: Mapping[NodeId, Sequence[Address]]) -> None:
        """Members may be reached there."""
        for node, found in known.items():
            self._links.seek(node, found)

    async def moved(self, standing: Standing) -> None:
        """This node stands in another swarm, or in another way, from now on."""
        self._links.swarm_tag = swarm_tag(standing.swarm)
        await self._members.reload()
        self._links.refresh()
        await self.ordering.reload()
        await self._be_reachable()

    async def nudge(self, nodes: frozenset[NodeId]) -> None:
        """Linked nodes should look what is new."""
        for node in nodes:
            await self._tell(node, Look())

    def _has_learners(self) -> bool:
        return any(row.id not in self._council.voters for row in self._members.others)

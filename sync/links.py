"""All links of one node: one mutually authenticated TLS 1.3 connection with every other member that can be reached."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.errors import InvalidFrame, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.certificate import PAIRING_PROTOCOL, contexts
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.frames import MAX_PAYLOAD, Channel
from hiveminddb.sync.greeting import Greeting
from hiveminddb.sync.hello import VERSION, Hello, Standing, encode_hello, replaces
from hiveminddb.sync.identity import fingerprint, node_id
from hiveminddb.sync.instances import Instances
from hiveminddb.sync.link import Handler, Link
from hiveminddb.sync.listener import Listener
from hiveminddb.sync.pairingdoor import Pairing, PairingDoor
from hiveminddb.sync.pairingstream import PairingStream
from hiveminddb.sync.seeking import Seeking
from hiveminddb.sync.strangers import Strangers

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0

# A link that held this long was no failure to reach somebody.
STEADY_SECONDS = 10.0

Trusted = Callable[[NodeId], bytes | None]


class Links:
    """Open from `__aenter__` to `__aexit__`; see DESIGN.md for what a link promises.

    `trusted` gives a member's raw public key and None for a stranger; it is asked at every handshake and on `refresh`.
    `answer` answers what peers `call`. Nodes of another `swarm_tag` are refused.
    """

    def __init__(
        self,
        key: Ed25519PrivateKey,
        trusted: Trusted,
        handlers: Mapping[Channel, Handler],
        on_up: Callable[[NodeId], None],
        on_down: Callable[[NodeId], None],
        answer: Callable[[NodeId, bytes], Awaitable[bytes]] | None = None,
        swarm_tag: str = "",
    ) -> None:
        self.node = node_id(key)
        self.swarm_tag = swarm_tag
        self._key = key.public_key().public_bytes_raw()
        self._trusted = trusted
        self._handlers = handlers
        self._on_up = on_up
        self._on_down = on_down
        self._answer = answer
        self._instance = os.urandom(8)
        self._tls = contexts(key)
        self._listener = Listener(self._tls.accept, self._accepted)
        self._links: dict[NodeId, Link] = {}
        self._since: dict[NodeId, float] = {}
        self._reachable: dict[NodeId, Address] = {}
        self._greeting: dict[NodeId, Greeting] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._strangers = Strangers()
        self._instances = Instances(time.monotonic)
        self._door = PairingDoor(self._key, self._tls.pair, self._own)
        self._seeking = Seeking(self._tls.dial, self._dialled, self._is_member, self._is_linked)
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        self._own(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await self._listener.close()
        await self._seeking.stopped()
        for link in list(self._links.values()):
            link.connection.drop("this node stops")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self, address: Address) -> Address:
        """Takes connections at this address from now on (port 0: a free one). Raises OSError where it is taken."""
        actual = await self._listener.open(address)
        log.info("listening for peers address=%s", actual)
        return actual

    def seek(self, node: NodeId | None, addresses: Sequence[Address]) -> None:
        """Reaches the node at these addresses or at earlier ones, now and whenever its link is lost.

        One that is not trusted is remembered, and dialled when `refresh` finds it trusted.
        None: whoever is a member there.
        """
        if node is None:
            for address in addresses:
                self._seeking.anybody(address)
        elif node != self.node:
            self._seeking.node(node, addresses)

    @property
    def pairing(self) -> Pairing | None:
        """Who speaks to strangers; None lets nobody in."""
        return self._door.pairing

    @pairing.setter
    def pairing(self, pairing: Pairing | None) -> None:
        self._door.pairing = pairing

    def refresh(self) -> None:
        """The directory has changed: who is no longer trusted is dropped before this returns, others are dialled."""
        for link in list(self._links.values()):
            if self._trusted(link.node) != link.connection.key:
                link.connection.drop("no longer a member")
        self._seeking.refresh()

    def send(self, peer: NodeId, channel: Channel, payload: bytes) -> bool:
        """False where there is no link or too much waits; raises InvalidFrame for a payload over 4 MiB."""
        link = self._links.get(peer)
        return link is not None and link.send(channel, payload)

    def complaint(self, node: NodeId) -> str:
        """Why the node could not be reached when last tried; empty where it could, or nobody tried."""
        return self._seeking.complaint(node)

    def refused(self, node: NodeId) -> bool:
        """Whether the node can be reached, and has not let this one in for some time."""
        return not self._links.get(node) and self._seeking.refused(node)

    def doubled(self, node: NodeId) -> bool:
        """Whether two machines have lately been linked under this id, in turns: copies of one data folder."""
        return self._instances.doubled(node)

    def connected(self) -> frozenset[NodeId]:
        """The peers that links are up with."""
        return frozenset(self._links)

    def address(self, peer: NodeId) -> Address | None:
        """Where a linked peer takes links, its other end where it takes none; None without a link."""
        return self._reachable.get(peer)

    async def call(self, peer: NodeId, payload: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        """The peer's answer within `timeout` seconds.

        Raises Unavailable where the question has certainly not left, OutcomeUnknown where no answer came, or the
        HiveMindError that the peer's `answer` raised.
        """
        link = self._links.get(peer)
        if link is None:
            raise Unavailable(f"no link to node {peer}", "try again once it is connected")
        return await link.ask(payload, timeout)

    @asynccontextmanager
    async def pair(self, address: Address) -> AsyncIterator[PairingStream]:
        """Speaks to a stranger; raises Unavailable where nobody is there or it is not pairing."""
        async with self._door.dial(address) as stream:
            yield stream

    def _accepted(self, connection: Connection) -> None:
        if connection.protocol == PAIRING_PROTOCOL:
            self._admit(connection)
        elif connection.key == self._key:
            connection.drop("this node itself")
        elif (node := self._member(connection)) is None:
            self._refuse(connection, "not a member")
        else:
            connection.receiver = Greeting(node, connection, False, self._greeted, self._ungreeted)

    def _admit(self, connection: Connection) -> None:
        if not self._door.enter(connection):
            self._refuse(connection, "not pairing")

    def _refuse(self, connection: Connection, reason: str) -> None:
        self._strangers.refused(connection.remote, reason)
        connection.drop(reason)

    def _dialled(self, connection: Connection, wanted: NodeId | None) -> None:
        node = self._member(connection)
        if node is None or wanted not in (None, node):
            connection.drop("another node answers there, or it is not a member")
        elif node in self._links or node in self._greeting:
            connection.drop("linked already")
        else:
            greeting = self._greeting[node] = Greeting(node, connection, True, self._greeted, self._ungreeted)
            connection.receiver = greeting
            connection.send(Channel.HELLO, self._hello())

    def _greeted(self, greeting: Greeting, hello: Hello) -> None:
        node, connection = greeting.node, greeting.connection
        standing = Standing(self.node if greeting.dialled else node, hello.instance)
        old = self._links.get(node)
        if self._trusted(node) != connection.key:
            connection.drop("no longer a member")
        elif hello.swarm_tag != self.swarm_tag:
            self._refuse(connection, f"node {node} is of another swarm")
        elif old is not None and not replaces(standing, old.standing):
            connection.drop("the other link stays")
        elif not greeting.dialled and self.node < node and node in self._greeting:
            connection.drop("both dialled; the other link stays")
        else:
            self._adopt(greeting, standing, hello)

    def _adopt(self, greeting: Greeting, standing: Standing, hello: Hello) -> None:
        node, connection = greeting.node, greeting.connection
        if (old := self._links.get(node)) is not None:
            old.connection.drop("replaced")
        answer = self._answer
        answering = None if answer is None else (lambda question: answer(node, question))
        link = Link(node, connection, standing, self._handlers, answering, self._lost, self._own)
        connection.receiver = self._links[node] = link
        connection.decoder.limit = MAX_PAYLOAD
        self._since[node] = asyncio.get_running_loop().time()
        self._ungreeted(greeting)
        if not greeting.dialled:
            connection.send(Channel.HELLO, self._hello())
        connection.settle()
        if (rival := self._greeting.get(node)) is not None:
            rival.connection.drop("both dialled; the other link stays")
        self._reachable[node] = _address(greeting, hello) or connection.remote
        self._seeking.linked(node, connection, _address(greeting, hello))
        log.info("link up node=%s address=%s", node, connection.remote)
        if self._instances.meet(node, hello.instance):
            log.warning("two machines run under one identity node=%s address=%s", node, connection.remote)
        self._on_up(node)

    def _ungreeted(self, greeting: Greeting) -> None:
        if self._greeting.get(greeting.node) is greeting:
            del self._greeting[greeting.node]

    def _lost(self, link: Link, reason: str) -> None:
        if self._links.get(link.node) is not link:
            return
        del self._links[link.node]
        self._reachable.pop(link.node, None)
        held = asyncio.get_running_loop().time() - self._since.pop(link.node)
        log.info("link down node=%s reason=%s", link.node, reason)
        if self._open:
            self._seeking.lost(link.node, held > STEADY_SECONDS)
        self._on_down(link.node)

    def _member(self, connection: Connection) -> NodeId | None:
        if connection.key is None or connection.key == self._key:
            return None
        node = fingerprint(connection.key)
        return node if self._trusted(node) == connection.key else None

    def _is_member(self, node: NodeId) -> bool:
        return self._open and self._trusted(node) is not None

    def _is_linked(self, node: NodeId) -> bool:
        return not self._open or node in self._links or node == self.node

    def _hello(self) -> bytes:
        return encode_hello(Hello(VERSION, self.swarm_tag, self._instance, self._listener.port))

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, InvalidFrame):
            log.error("task of a link failed", exc_info=error)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            late = loop.time() - due
            for link in list(self._links.values()):
                if late > BEAT_SECONDS:
                    link.connection.forgive(late)
                link.connection.beat(loop.time(), BEAT_SECONDS)


def _address(greeting: Greeting, hello: Hello) -> Address | None:
    # Who dialled us listens elsewhere, if it does.
    remote = greeting.connection.remote
    if greeting.dialled:
        return remote
    return Address(remote.host, hello.port) if hello.port else None

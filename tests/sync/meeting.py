"""Nodes with real links on loopback, that trust whom a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.identity import node_id
from hiveminddb.sync.link import Handler
from hiveminddb.sync.links import Links

LOOPBACK = Address("127.0.0.1", 0)


class Peer:
    """One node: its key, whom it trusts, what it heard."""

    def __init__(self, key: Ed25519PrivateKey | None = None) -> None:
        self.key = key or Ed25519PrivateKey.generate()
        self.node = node_id(self.key)
        self.public = self.key.public_key().public_bytes_raw()
        self.trusts: dict[NodeId, bytes] = {}
        self.heard: list[tuple[NodeId, Channel, bytes]] = []
        self.news: list[tuple[str, NodeId]] = []
        self.address = LOOPBACK
        self.says_first: bytes | None = None
        self.links: Links

    @asynccontextmanager
    async def open(self, handlers: Mapping[Channel, Handler] | None = None, **options: Any) -> AsyncIterator[Self]:
        """With its links open and listening."""
        self.links = Links(
            self.key,
            self.trusts.get,
            {**{channel: self._listen_to(channel) for channel in Channel}, **(handlers or {})},
            self._up,
            lambda node: self.news.append(("down", node)),
            **options,
        )
        async with self.links:
            self.address = await self.links.listen(LOOPBACK)
            yield self

    def trust(self, *others: Peer) -> None:
        """As after pairing, seen from this side."""
        self.trusts.update({other.node: other.public for other in others})
        self.links.refresh()

    def seek(self, other: Peer) -> None:
        self.links.seek(other.node, [other.address])

    def linked(self, *others: Peer) -> bool:
        return self.links.connected() == {other.node for other in others}

    def _up(self, node: NodeId) -> None:
        self.news.append(("up", node))
        if self.says_first is not None:
            self.links.send(node, Channel.RAFT, self.says_first)

    def _listen_to(self, channel: Channel) -> Handler:
        return lambda node, payload: self.heard.append((node, channel, payload))


@asynccontextmanager
async def peers(count: int, **options: Any) -> AsyncIterator[list[Peer]]:
    """So many nodes that trust each other, by node id from low to high; none seeks another yet."""
    async with AsyncExitStack() as stack:
        opened = sorted((Peer() for _ in range(count)), key=lambda peer: peer.node)
        for peer in opened:
            await stack.enter_async_context(peer.open(**options))
        for peer in opened:
            peer.trust(*(other for other in opened if other is not peer))
        yield opened


@asynccontextmanager
async def linked_pair(**options: Any) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two nodes with a link between them."""
    async with peers(2, **options) as (low, high):
        low.seek(high)
        await until(lambda: both_linked(low, high))
        yield low, high


def both_linked(one: Peer, two: Peer) -> bool:
    """Both ends say that there is a link."""
    return one.linked(two) and two.linked(one)


async def until(condition: Callable[[], object]) -> None:
    """Returns when it holds; the time is generous: it only ends a hang."""
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.003)

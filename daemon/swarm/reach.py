"""How this node is found and finds others: its port, what it announces, and where it has seen whom.

A swarm of one opens no port and announces nothing, until its owner wants somebody to find it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm.joining import Place
from hiveminddb.errors import InvalidConfig
from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.announcement import Announcement, Seen
from hiveminddb.sync.discovery import Discovery
from hiveminddb.sync.links import Links

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Face:
    """What this node shows of itself; tags are as discovery announces them."""

    swarm_tag: str
    alone: bool
    invite_tag: str
    key_tag: str | None


class Reach:
    """Open inside `async with`; `listen` is where peers are taken, on any free port where only the default is taken."""

    def __init__(self, me: NodeId, links: Links, listen: Address, is_chosen: bool, peers: Sequence[Address]) -> None:
        self._me, self._links, self._listen, self._is_chosen = me, links, listen, is_chosen
        self.static = peers
        self._task: asyncio.Task[None] | None = None
        self._discovery: Discovery | None = None
        self._opening = asyncio.Lock()
        self._port = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def seen(self) -> Mapping[NodeId, Seen]:
        """Nodes of any swarm that announce themselves now."""
        return self._discovery.seen if self._discovery else {}

    def places(self) -> Sequence[Place]:
        """Where machines that may be paired with answer."""
        found = [Place(one.addresses, one.node, one.invite_tag) for one in self.seen.values()]
        return [*found, *(Place([address]) for address in self.static)]

    def own(self) -> Sequence[Address]:
        """Where this node takes links, as others may try it; empty where it takes none, or any of its addresses."""
        return [Address(self._listen.host, self._port)] if self._port and not _is_any(self._listen.host) else []

    def look(self) -> None:
        """Sees who announces themselves, from now on."""
        if self._discovery is None:
            self._discovery = Discovery(
                self._me, lambda seen: self._links.seek(seen.node, seen.addresses), lambda node: None
            )
            self._task = asyncio.create_task(supervised("discovery", self._discovery.run))

    async def open(self, face: Face) -> None:
        """Takes links, and announces this node as this, from now on."""
        async with self._opening:
            self.look()
            if not self._port:
                self._port = await self._listening()
        host = None if _is_any(self._listen.host) else self._listen.host
        assert self._discovery is not None
        self._discovery.announce(
            Announcement(self._port, face.swarm_tag, face.alone, face.invite_tag or None, face.key_tag, host)
        )
        self._links.seek(None, self.static)

    def fall_silent(self) -> None:
        """Announces nothing any more."""
        if self._discovery:
            self._discovery.announce(None)

    async def _listening(self) -> int:
        try:
            return (await self._links.listen(self._listen)).port
        except OSError as error:
            if self._is_chosen:
                raise InvalidConfig(
                    f"cannot listen for peers on {self._listen}: {error.strerror or error}",
                    "another program may use the port; choose another with --peer or HIVEMIND_PEER_ADDR",
                ) from error
        free = await self._links.listen(Address(self._listen.host, 0))
        log.warning("port for peers is taken, another one serves wanted=%s port=%d", self._listen, free.port)
        return free.port


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")

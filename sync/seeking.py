"""Who is sought, and where: a dialler for each node, and for each address at which any member will do."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.dialer import Dialer
from hiveminddb.sync.identity import fingerprint

# Discovery may name anybody; so many nodes are remembered, and those that are not members are forgotten first.
MAX_SOUGHT = 256

# A node that starts, or has linked from its side, may hang up once or twice.
MANY_REFUSALS = 3

Opened = Callable[[Connection, NodeId | None], None]


class Seeking:
    """Dials members that are not linked. `opened` gets each connection, and the node that was wanted there, if any."""

    def __init__(
        self,
        context: ssl.SSLContext,
        opened: Opened,
        member: Callable[[NodeId], bool],
        linked: Callable[[NodeId], bool],
    ) -> None:
        self._context = context
        self._opened = opened
        self._member = member
        self._linked = linked
        self._nodes: dict[NodeId, Dialer] = {}
        self._anybody: dict[Address, Dialer] = {}
        self._met: dict[Address, NodeId] = {}

    def node(self, node: NodeId, addresses: Sequence[Address]) -> None:
        """Dials the node at these addresses and at those known, as long as it is not linked."""
        dialer = self._dialer(node)
        dialer.offer(addresses)
        dialer.start()

    def anybody(self, address: Address) -> None:
        """Dials whoever is a member there, as long as the one last met there is not linked."""
        if address not in self._anybody:
            dialer = self._anybody[address] = Dialer(
                str(address),
                self._context,
                lambda connection: self._meet(address, connection),
                lambda: not ((node := self._met.get(address)) and self._linked(node)),
            )
            dialer.offer([address])
            dialer.start()

    def linked(self, node: NodeId, connection: Connection, address: Address | None) -> None:
        """The node is linked, by this connection: no other is made. `address` is one for the next time."""
        dialer = self._dialer(node)
        if dialer.connection is not connection:
            dialer.stop()
        if address is not None:
            dialer.offer([address])

    def lost(self, node: NodeId, steady: bool) -> None:
        """Dials it again: at once if the link was `steady`, after a pause otherwise."""
        self._dialer(node).again(steady)
        for address, dialer in self._anybody.items():
            if self._met.get(address) == node:
                dialer.again(steady)

    def refresh(self) -> None:
        """Who is a member may have changed."""
        for dialer in self._nodes.values():
            dialer.start()

    async def stopped(self) -> None:
        for dialer in (*self._nodes.values(), *self._anybody.values()):
            await dialer.stopped()

    def complaint(self, node: NodeId) -> str:
        """Why the node was not reached when last tried; empty where it was."""
        dialer = self._nodes.get(node)
        return dialer.complaint if dialer is not None else ""

    def refused(self, node: NodeId) -> bool:
        """Whether the node can be reached, and has not wanted us for some time."""
        dialer = self._nodes.get(node)
        return dialer is not None and dialer.refusals >= MANY_REFUSALS

    def _meet(self, address: Address, connection: Connection) -> None:
        if connection.key is not None:
            self._met[address] = fingerprint(connection.key)
        self._opened(connection, None)

    def _dialer(self, node: NodeId) -> Dialer:
        if node not in self._nodes:
            self._make_room()
            self._nodes[node] = Dialer(
                node,
                self._context,
                lambda connection: self._opened(connection, node),
                lambda: self._member(node) and not self._linked(node),
                lambda connection: connection.key is not None and fingerprint(connection.key) == node,
            )
        return self._nodes[node]

    def _make_room(self) -> None:
        if len(self._nodes) >= MAX_SOUGHT:
            for stranger in [node for node in self._nodes if not self._member(node)][:1]:
                self._nodes.pop(stranger).stop()

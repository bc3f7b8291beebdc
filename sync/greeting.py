"""A connection between TLS and HELLO: who is there is proven, nothing else is known."""

from __future__ import annotations

from collections.abc import Callable

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.hello import Hello, decode_hello


class Greeting:
    """Waits for HELLO, and hands the connection on to `greeted`."""

    def __init__(
        self,
        node: NodeId,
        connection: Connection,
        dialled: bool,
        greeted: Callable[[Greeting, Hello], None],
        lost: Callable[[Greeting], None],
    ) -> None:
        self.node = node
        self.connection = connection
        self.dialled = dialled
        self._greeted = greeted
        self._lost = lost

    def frame(self, channel: Channel, payload: bytes) -> None:
        if channel is not Channel.HELLO:
            raise InvalidFrame(f"{channel.name} before HELLO")
        self._greeted(self, decode_hello(payload))

    def lost(self, reason: str) -> None:
        self._lost(self)

"""The door: takes connections, and keeps only a few that have not yet said who they are."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from hiveminddb.sync.address import Address
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.handshake import greet
from hiveminddb.sync.sockets import listening, tune

log = logging.getLogger(__name__)

# When more are half-way, the oldest makes room: who is slow on purpose keeps nobody out.
MAX_HALF_OPEN = 64

_NO_DESCRIPTORS_PAUSE = 0.5


class Listener:
    """Listens from `open` to `close`; each connection goes to `opened` once TLS stands."""

    def __init__(self, context: ssl.SSLContext, opened: Callable[[Connection], None]) -> None:
        self._context = context
        self._opened = opened
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._half_open: dict[asyncio.Task[None], None] = {}

    @property
    def port(self) -> int:
        """0 where nothing listens."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    async def open(self, address: Address) -> Address:
        """The address with its actual port. Raises OSError where it is taken or not ours."""
        await self.close()
        self._socket = listening(address)
        self._accepting = asyncio.create_task(self._accept(self._socket), name="links: accept")
        return Address(address.host, self.port)

    async def close(self) -> None:
        tasks = [task for task in (self._accepting, *self._half_open) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        self._socket = self._accepting = None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("cannot accept error=%s", error)
                await asyncio.sleep(_NO_DESCRIPTORS_PAUSE)
                continue
            self._welcome(accepted)

    def _welcome(self, accepted: socket.socket) -> None:
        if len(self._half_open) >= MAX_HALF_OPEN:
            oldest = next(iter(self._half_open))
            del self._half_open[oldest]
            oldest.cancel()
        task = asyncio.create_task(self._greet(accepted), name="links: greet")
        self._half_open[task] = None
        task.add_done_callback(lambda done: self._half_open.pop(done, None))

    async def _greet(self, accepted: socket.socket) -> None:
        connection = Connection(self._opened)
        try:
            tune(accepted)
            await greet(connection, accepted, self._context)
        except (OSError, TimeoutError) as error:
            log.debug("handshake failed error=%s", error)

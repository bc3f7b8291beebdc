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
        self._paused: asyncio.TimerHandle | None = None
        self._half_open: dict[asyncio.Task[None], None] = {}

    @property
    def port(self) -> int:
        """0 where nothing listens."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    async def open(self, address: Address) -> Address:
        """The address with its actual port. Raises OSError where it is taken or not ours."""
        await self.close()
        self._socket = listening(address)
        self._resume()
        return Address(address.host, self.port)

    async def close(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        self._socket = self._paused = None
        # A task cancelled before its first step would leave its socket to nobody.
        await asyncio.sleep(0)
        tasks = list(self._half_open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _resume(self) -> None:
        # Accepted by a coroutine, a connection is lost where that is cancelled just then.
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("cannot accept error=%s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            self._paused = loop.call_later(_NO_DESCRIPTORS_PAUSE, self._resume)
            return
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

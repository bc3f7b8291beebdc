"""The HTTP server around the API: one listening socket, no signals of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from hiveminddb.daemon.api.api import Api
from hiveminddb.daemon.api.connection import Connection
from hiveminddb.daemon.config import Address
from hiveminddb.errors import InvalidConfig

log = logging.getLogger(__name__)

# How long a stop waits for requests under way; then they are answered as they are, which takes a moment. Who has not
# read an answer by then is hung up on.
STOP_SECONDS = 5
ANSWER_SECONDS = 5
# Only where hanging up does not help.
GIVEN_UP_SECONDS = 60
# Clients that ask now and then should find their connection still open.
KEEP_ALIVE_SECONDS = 75
BACKLOG = 1_024


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, says when it listens, and sleeps until it is to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening, self._stopping = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        # uvicorn's own looks ten times a second whether it shall stop.
        await self._stopping.wait()

    def stop(self) -> None:
        """Takes no more connections, and ends those there are once they are answered."""
        self.should_exit = True
        self._stopping.set()

    def hang_up(self) -> None:
        """Ends every connection that is still open."""
        for connection in self.server_state.connections:
            connection.transport.abort()


@contextlib.asynccontextmanager
async def serving(api: Api, address: Address) -> AsyncIterator[Address]:
    """Serves while inside; gives the address it listens on, whose port is never 0."""
    listener = _listener(address)
    bound = Address(address.host, listener.getsockname()[1])
    config = uvicorn.Config(
        api,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GIVEN_UP_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait((task, listening), return_when=asyncio.FIRST_COMPLETED)
        log.info("listening url=%s", bound.url)
        yield bound
    finally:
        listening.cancel()
        server.stop()
        await api.finish(STOP_SECONDS)
        await asyncio.wait((task,), timeout=ANSWER_SECONDS)
        server.hang_up()
        await task
        listener.close()


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidConfig(
            f"cannot listen on {address}: {reason}",
            "another program may use the port; choose another with --listen or HIVEMIND_LISTEN_ADDR",
        ) from error
    listener.setblocking(False)
    return listener

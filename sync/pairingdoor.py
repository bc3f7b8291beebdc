"""Where strangers meet: TLS with whoever is there, and the stream that a pairing runs over."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from hiveminddb.errors import HiveMindError, Unavailable
from hiveminddb.sync.address import Address
from hiveminddb.sync.certificate import PAIRING_PROTOCOL
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.handshake import greet
from hiveminddb.sync.link import Own
from hiveminddb.sync.pairingstream import PairingStream
from hiveminddb.sync.sockets import CONNECT_SECONDS, first_connected

log = logging.getLogger(__name__)

MAX_PAIRINGS = 4

# A person looks at the code and at the other machine's name in this time; each message has a deadline of its own.
PAIRING_SECONDS = 300.0

Pairing = Callable[[PairingStream], Awaitable[None]]


class PairingDoor:
    """Closed unless `pairing` is set, which then speaks to each stranger; few at a time."""

    def __init__(self, key: bytes, context: ssl.SSLContext, own: Own) -> None:
        self.pairing: Pairing | None = None
        self._key = key
        self._context = context
        self._own = own
        self._inside = 0

    def enter(self, connection: Connection) -> bool:
        """Takes over the connection of somebody who has dialled; False where nobody is let in."""
        if self.pairing is None or connection.key is None or self._inside >= MAX_PAIRINGS:
            return False
        self._inside += 1
        self._own(self._speak(self.pairing, connection, self._stream(connection, connection.key, False)))
        return True

    @asynccontextmanager
    async def dial(self, address: Address) -> AsyncIterator[PairingStream]:
        """Speaks to whoever pairs at this address; raises Unavailable where nobody is there."""
        connection = Connection(self._opened)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, reached = await first_connected([address])
            await greet(connection, reached, self._context)
        except (OSError, TimeoutError) as error:
            raise _nobody(address, str(error) or "no answer in time") from error
        if not isinstance(connection.receiver, PairingStream):
            raise _nobody(address, connection.reason)
        try:
            yield connection.receiver
        finally:
            connection.close()

    def _opened(self, connection: Connection) -> None:
        if connection.key is None or connection.protocol != PAIRING_PROTOCOL:
            connection.drop("no node of this kind")
        else:
            self._stream(connection, connection.key, True)

    def _stream(self, connection: Connection, theirs: bytes, dialled: bool) -> PairingStream:
        stream = PairingStream(connection, self._key, theirs, dialled)
        connection.receiver = stream
        connection.settle()
        return stream

    async def _speak(self, pairing: Pairing, connection: Connection, stream: PairingStream) -> None:
        try:
            async with asyncio.timeout(PAIRING_SECONDS):
                await pairing(stream)
        except (HiveMindError, EOFError, OSError, TimeoutError) as error:
            log.info("pairing ended address=%s reason=%s", connection.remote, error)
        finally:
            self._inside -= 1
            connection.close()


def _nobody(address: Address, reason: str) -> Unavailable:
    return Unavailable(f"nobody to pair with at {address}: {reason}", "is it running, and inviting?")

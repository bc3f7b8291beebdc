"""What two strangers speak over: whole messages, and the keys that both have proven to TLS."""

from __future__ import annotations

import asyncio
from collections import deque

from hiveminddb.errors import InvalidFrame
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.frames import Channel

MAX_MESSAGE = 1 << 20

# Pairing is a dialogue: nobody has to say more than this before it is read.
_MAX_WAITING = 4


class PairingStream:
    """`mine` and `theirs` are raw Ed25519 keys: a proof that binds both excludes whoever might stand between."""

    def __init__(self, connection: Connection, mine: bytes, theirs: bytes, dialled: bool) -> None:
        self.mine = mine
        self.theirs = theirs
        self.dialled = dialled
        self.remote = connection.remote
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        connection.decoder.limit = MAX_MESSAGE

    async def write(self, frame: bytes) -> None:
        """Raises EOFError when the other side is gone, InvalidFrame for more than it would take."""
        if len(frame) > MAX_MESSAGE:
            raise InvalidFrame(f"pairing message of {len(frame)} bytes", f"at most {MAX_MESSAGE}")
        if not self._connection.send(Channel.PAIRING, frame):
            raise EOFError(self._connection.reason)

    async def read(self, limit: int) -> bytes:
        """The next message; raises EOFError when none can come, InvalidFrame for one over `limit` bytes."""
        while not self._waiting and not self._connection.closed:
            self._news.clear()
            await self._news.wait()
        if not self._waiting:
            raise EOFError(self._connection.reason)
        message = self._waiting.popleft()
        if len(message) > limit:
            raise InvalidFrame(f"pairing message of {len(message)} bytes", f"at most {limit} here")
        return message

    def frame(self, channel: Channel, payload: bytes) -> None:
        if channel is not Channel.PAIRING or len(self._waiting) >= _MAX_WAITING:
            raise InvalidFrame(f"{channel.name} while pairing", "or too many messages at once")
        self._waiting.append(payload)
        self._news.set()

    def lost(self, reason: str) -> None:
        self._news.set()

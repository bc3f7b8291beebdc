"""Reaches one node: its addresses raced, then TLS and HELLO, again and again with growing pauses until it is linked."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Callable, Sequence

from hiveminddb.sync.address import Address
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.handshake import greet
from hiveminddb.sync.sockets import CONNECT_SECONDS, discard, first_connected

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
MAX_ADDRESSES = 16


class Dialer:
    """Runs from `start` to `stop`, or until `wanted` says that there is nothing to reach (any longer)."""

    def __init__(
        self,
        name: str,
        context: ssl.SSLContext,
        opened: Callable[[Connection], None],
        wanted: Callable[[], bool],
        meant: Callable[[Connection], bool] = lambda connection: False,
    ) -> None:
        """`meant` tells whether a connection, perhaps closed already, was with the node that is sought."""
        self.connection: Connection | None = None
        self.complaint = ""
        # Rounds one after the other in which the node was there and did not want us.
        self.refusals = 0
        self._name = name
        self._context = context
        self._opened = opened
        self._wanted = wanted
        self._meant = meant
        self._addresses: tuple[Address, ...] = ()
        self._news = asyncio.Event()
        self._pause = FIRST_PAUSE
        self._rested = True
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def offer(self, addresses: Sequence[Address]) -> None:
        """Addresses to try first; one that was not known is tried at once."""
        news = not set(addresses) <= set(self._addresses)
        self._addresses = tuple(dict.fromkeys((*addresses, *self._addresses)))[:MAX_ADDRESSES]
        if news:
            self._pause = FIRST_PAUSE
            self._rested = True
            self._news.set()

    def start(self) -> None:
        """Nothing happens where it runs already, is not wanted, or knows no address."""
        if self._addresses and self._wanted() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name=f"links: dial {self._name}")

    def again(self, steady: bool) -> None:
        """The link is lost: as `start`, but after a pause, growing each time, if it has not held for a while."""
        if steady:
            self._pause = FIRST_PAUSE
        self._rested = steady
        self.start()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._ending.add(self._task)
            self._task.add_done_callback(self._ending.discard)
            self._task = None

    async def stopped(self) -> None:
        self.stop()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _run(self) -> None:
        while self._wanted():
            if not self._rested:
                await self._rest()
            self._rested = False
            self._news.clear()
            await self._round()

    async def _round(self) -> None:
        left = list(self._addresses)
        complaints = []
        refused = False
        while left and self._wanted() and not self._news.is_set():
            try:
                address, reached = await self._reach(left)
                left.remove(address)
                await self._greet(address, reached)
            except (OSError, TimeoutError) as error:
                complaints.append(str(error) or "no answer in time")
                if not isinstance(error, _Refused):
                    break
                # Of its former addresses some lead nowhere, others to somebody else.
                refused = refused or (self.connection is not None and self._meant(self.connection))
        self.refusals = self.refusals + 1 if refused else 0
        self._complain("; ".join(complaints))

    async def _reach(self, addresses: Sequence[Address]) -> tuple[Address, socket.socket]:
        racing = asyncio.create_task(first_connected(addresses))
        news = asyncio.create_task(self._news.wait())
        taken = False
        try:
            await asyncio.wait((racing, news), timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if taken := racing.done():
                return racing.result()
            raise TimeoutError
        finally:
            news.cancel()
            if not taken:
                discard(racing)

    async def _greet(self, address: Address, reached: socket.socket) -> None:
        connection = self.connection = Connection(self._opened)
        try:
            await greet(connection, reached, self._context)
            if connection.closed:
                raise _Refused(f"{address}: {connection.reason}")
        except (OSError, TimeoutError) as error:
            raise _Refused(f"{address}: {error or 'no answer in time'}") from error

    async def _rest(self) -> None:
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        try:
            async with asyncio.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            pass

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self.complaint:
            log.info("not reached node=%s reason=%s", self._name, complaint)
        self.complaint = complaint


class _Refused(OSError):
    """Somebody is there, and it is not who we want, or does not want us."""

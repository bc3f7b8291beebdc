"""One TLS connection that carries frames; who listens to it changes from greeting to link or pairing."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from hiveminddb.errors import InvalidFrame
from hiveminddb.sync.address import Address
from hiveminddb.sync.certificate import proven_key
from hiveminddb.sync.frames import Channel, Decoder, encode
from hiveminddb.sync.hello import MAX_HELLO
from hiveminddb.sync.outbox import Outbox

log = logging.getLogger(__name__)

# What TLS and the system may hold of ours: little, so that an urgent frame overtakes all but that.
WRITE_BUFFER = 64 << 10

# A peer that takes nothing for this long, while something waits for it, is given up.
STUCK_SECONDS = 8.0
DEAD_SECONDS = 4.0


class Receiver(Protocol):
    """What becomes of frames; `frame` raises InvalidFrame for what ends the connection."""

    def frame(self, channel: Channel, payload: bytes) -> None: ...

    def lost(self, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """Frames in, frames out. `opened` is called once TLS stands and sets `receiver`; before that nothing is read.

    `settled` is set once somebody has taken the connection over, or it is lost.
    """

    def __init__(self, opened: Callable[[Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        self.receiver: Receiver | None = None
        self.key: bytes | None = None
        self.protocol: str | None = None
        self.remote = Address("", 0)
        self.settled = asyncio.Event()
        self.decoder = Decoder(MAX_HELLO)
        self.reason = "closed by the peer"
        self._opened = opened
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._outbox = Outbox()
        self._flowing = True
        self._reading = True
        self._closed = False
        self._heard = self._moved = self._spoke = loop.time()
        self._left = 0

    @property
    def closed(self) -> bool:
        """Nothing more comes, nothing more goes."""
        return self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._closed:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.key, self.protocol = proven_key(tls), tls.selected_alpn_protocol()
        self.remote = _remote(transport.get_extra_info("peername"))
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            for channel, payload in self.decoder.feed(data):
                if self._closed or self.receiver is None:
                    return
                self.receiver.frame(channel, payload)
        except InvalidFrame as error:
            self.drop(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else self.reason)

    def pause_writing(self) -> None:
        self._flowing = False
        self._moved, self._left = self._loop.time(), self._buffered()

    def resume_writing(self) -> None:
        self._flowing = True
        self._flush()

    def send(self, channel: Channel, payload: bytes) -> bool:
        """False when closed, or when too much waits already; raises InvalidFrame for a payload over the limit."""
        if self._closed or self._transport is None or not self._outbox.has_room(channel):
            return False
        self._outbox.put(channel, encode(channel, payload))
        self._flush()
        return True

    def settle(self) -> None:
        """Whoever waits for this connection to become something need not any longer."""
        self.settled.set()

    def read(self, wanted: bool) -> None:
        """Stops or starts reading: what is not read, the peer has to keep."""
        if wanted == self._reading or self._closed or self._transport is None:
            return
        self._reading = wanted
        self._heard = self._loop.time()
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def beat(self, now: float, interval: float) -> None:
        """Called every second: says something where nothing was said, and drops a peer that is dead or stuck."""
        if self._reading and now - self._heard > DEAD_SECONDS:
            self.drop("silent")
        elif not self._flowing and self._stuck(now):
            self.drop("stuck: takes nothing")
        elif self._flowing and now - self._spoke >= interval / 2:
            self.send(Channel.BEAT, b"")

    def forgive(self, seconds: float) -> None:
        """The loop itself stood still for so long; that was not the peer's silence."""
        self._heard += seconds
        self._moved += seconds

    def close(self) -> None:
        """Ends it once what was sent has left."""
        if self._transport is not None and not self._closed:
            self.reason = "closed here"
            while frame := self._outbox.take():
                self._write(frame)
            self._transport.close()

    def drop(self, reason: str) -> None:
        """Ends it now."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self._closed:
            return
        self._closed, self.reason = True, reason
        self.settle()
        if self.receiver is not None:
            self.receiver.lost(reason)

    def _flush(self) -> None:
        while self._flowing and (frame := self._outbox.take()):
            self._write(frame)

    def _write(self, frame: bytes) -> None:
        assert self._transport is not None
        self._spoke = self._loop.time()
        self._transport.write(frame)

    def _stuck(self, now: float) -> bool:
        left = self._buffered()
        if left != self._left:
            self._moved, self._left = now, left
        return now - self._moved > STUCK_SECONDS

    def _buffered(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0


def _remote(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    host = name[0]
    if len(name) == 4 and name[3] and "%" not in host:
        host = f"{host}%{name[3]}"
    return Address(host.removeprefix("::ffff:"), name[1])

"""Two ends of a pairing stream in memory, and what somebody between may do to the frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hiveminddb.errors import InvalidFrame

Meddle = Callable[[int, bytes], list[bytes]]


def _faithful(_: int, frame: bytes) -> list[bytes]:
    return [frame]


@dataclass
class End:
    """One side; `meddle` turns its nth frame into what really arrives."""

    mine: bytes
    theirs: bytes
    inbox: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    peer: End | None = None
    meddle: Meddle = _faithful
    written: list[bytes] = field(default_factory=list)

    async def read(self, limit: int) -> bytes:
        frame = await self.inbox.get()
        if frame is None:
            self.inbox.put_nowait(None)
            raise EOFError
        if len(frame) > limit:
            raise InvalidFrame(f"frame of {len(frame)} bytes", f"at most {limit}")
        return frame

    async def write(self, frame: bytes) -> None:
        assert self.peer is not None
        for arriving in self.meddle(len(self.written), frame):
            self.peer.inbox.put_nowait(arriving)
        self.written.append(frame)

    def hang_up(self) -> None:
        assert self.peer is not None
        self.peer.inbox.put_nowait(None)


def wire(guest: bytes, host: bytes) -> tuple[End, End]:
    """The guest's end and the host's, with the keys that each has shown."""
    one, other = End(guest, host), End(host, guest)
    one.peer, other.peer = other, one
    return one, other

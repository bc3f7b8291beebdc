"""One link: a connection between two members, from HELLO until it breaks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId
from hiveminddb.sync.calls import Answer, Calls
from hiveminddb.sync.connection import Connection
from hiveminddb.sync.frames import MAX_PAYLOAD, Channel
from hiveminddb.sync.hello import Standing

# What waits here for slow handlers; above it nothing more is read from this peer.
INBOX_BYTES = 2 * MAX_PAYLOAD

# What a waiting frame costs besides its payload.
_FRAME_COST = 64

Handler = Callable[[NodeId, bytes], Awaitable[None] | None]
Own = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Link:
    """Hands each frame to its channel's handler, in order within the channel; a slow handler delays no other channel.

    A handler that raises InvalidFrame ends the link. `own` runs a task that the owner of the link waits for.
    """

    def __init__(
        self,
        node: NodeId,
        connection: Connection,
        standing: Standing,
        handlers: Mapping[Channel, Handler],
        answer: Answer | None,
        lost: Callable[[Link, str], None],
        own: Own,
    ) -> None:
        self.node = node
        self.connection = connection
        self.standing = standing
        self._handlers = handlers
        self._lost = lost
        self._own = own
        self._calls = Calls(lambda payload: self.send(Channel.CALL, payload), answer, self._owned)
        self._inboxes: dict[Channel, deque[bytes]] = {}
        self._held = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, channel: Channel, payload: bytes) -> bool:
        """False where too much waits already, or the link is gone."""
        return self.connection.send(channel, payload)

    async def ask(self, question: bytes, within: float) -> bytes:
        """See Calls.ask."""
        return await self._calls.ask(question, within)

    def frame(self, channel: Channel, payload: bytes) -> None:
        if channel is Channel.BEAT:
            return
        if channel is Channel.CALL:
            self._calls.received(payload)
        elif channel in (Channel.HELLO, Channel.PAIRING):
            raise InvalidFrame(f"{channel.name} on a link", "it belongs before one")
        elif (inbox := self._inboxes.get(channel)) is not None:
            self._keep(inbox, payload)
        elif (handler := self._handlers.get(channel)) is not None:
            self._handle(channel, handler, payload)

    def lost(self, reason: str) -> None:
        for task in self._tasks:
            task.cancel()
        self._calls.lost()
        self._lost(self, reason)

    def _handle(self, channel: Channel, handler: Handler, payload: bytes) -> None:
        pending = handler(self.node, payload)
        if pending is not None:
            self._inboxes[channel] = deque()
            self._owned(self._work(channel, handler, pending))

    async def _work(self, channel: Channel, handler: Handler, pending: Awaitable[None] | None) -> None:
        inbox = self._inboxes[channel]
        while True:
            if pending is not None:
                await pending
            if not inbox:
                break
            payload = inbox.popleft()
            self._hold(-len(payload) - _FRAME_COST)
            pending = handler(self.node, payload)
        del self._inboxes[channel]

    def _keep(self, inbox: deque[bytes], payload: bytes) -> None:
        inbox.append(payload)
        self._hold(len(payload) + _FRAME_COST)

    def _hold(self, change: int) -> None:
        self._held += change
        self.connection.read(self._held < INBOX_BYTES)

    def _owned(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._own(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.connection.drop(f"handler failed: {error}")

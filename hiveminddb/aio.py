"""The client for asyncio: the same methods as HiveMind, awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, update_wrapper
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from hiveminddb import _address, _calls, _swarm_calls, _upkeep_calls
from hiveminddb._http import Connection
from hiveminddb._message import Call, Request, Response
from hiveminddb.client import TIMEOUT
from hiveminddb.model import Memory

P = ParamSpec("P")
T = TypeVar("T")

# Calls in flight at once; more wait their turn. One daemon on this machine is not served faster by more.
CONNECTIONS = 8


def _method(call: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncHiveMind, P], Awaitable[T]]:
    async def method(self: AsyncHiveMind, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(call(*args, **kwargs))

    update_wrapper(method, call)
    return method


class AsyncHiveMind:
    """A daemon's memory from asyncio. Requests run in a few threads of their own, each with its connection."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
        *,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._connect = partial(Connection, partial(_address.find, url, token, data_dir), timeout)
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._threads = ThreadPoolExecutor(CONNECTIONS, "hiveminddb")

    async def _run(self, call: Call[T]) -> T:
        async with self._slots:
            connection = self._idle.pop() if self._idle else self._connect()
            return call.result(await self._exchange(connection, call.request))

    async def _exchange(self, connection: Connection, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        try:
            response = await loop.run_in_executor(self._threads, connection.exchange, request)
        except asyncio.CancelledError:
            connection.abort()
            raise
        self._idle.append(connection)
        return response

    async def each(self, **filters: Any) -> AsyncIterator[Memory]:
        """Every memory that passes the filters of `list`, newest first, page by page."""
        cursor = None
        while True:
            page = await self._run(_calls.page(**{"limit": 200, **filters, "cursor": cursor}))
            for memory in page:
                yield memory
            cursor = page.cursor
            if cursor is None:
                return

    async def close(self) -> None:
        """Ends the connections and the threads; no call may follow."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()

    async def __aenter__(self) -> AsyncHiveMind:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    add = _method(_calls.add)
    add_many = _method(_calls.add_many)
    get = _method(_calls.get)
    list = _method(_calls.page)
    update = _method(_calls.update)
    forget = _method(_calls.forget)
    restore = _method(_calls.restore)
    history = _method(_calls.history)
    search = _method(_calls.search)
    search_many = _method(_calls.search_many)
    topics = _method(_calls.topics)
    topic = _method(_calls.topic)
    forget_topic = _method(_calls.forget_topic)
    restore_topic = _method(_calls.restore_topic)
    lines = _method(_calls.lines)
    changes = _method(_calls.changes)
    status = _method(_upkeep_calls.status)
    metrics = _method(_upkeep_calls.metrics)
    config = _method(_upkeep_calls.config)
    import_files = _method(_calls.import_files)
    resolve_vault = _method(_upkeep_calls.resolve_vault)
    doctor = _method(_upkeep_calls.doctor)
    health = _method(_upkeep_calls.health)
    swarm = _method(_swarm_calls.swarm)
    invite = _method(_swarm_calls.invite)
    invited = _method(_swarm_calls.invited)
    end_invite = _method(_swarm_calls.end_invite)
    look = _method(_swarm_calls.look)
    join = _method(_swarm_calls.join)
    hang_up = _method(_swarm_calls.hang_up)
    leave = _method(_swarm_calls.leave)
    recover = _method(_swarm_calls.recover)
    rename = _method(_swarm_calls.rename)
    remove_node = _method(_swarm_calls.remove_node)
    leases = _method(_swarm_calls.leases)
    lease = _method(_swarm_calls.lease)
    renew = _method(_swarm_calls.renew)
    release = _method(_swarm_calls.release)
    held = _method(_swarm_calls.held)
    register = _method(_swarm_calls.register)
    set_register = _method(_swarm_calls.set_register)

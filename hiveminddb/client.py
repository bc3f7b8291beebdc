"""The client: one method for each thing the daemon can do."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterator
from functools import partial, update_wrapper
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from hiveminddb import _address, _calls, _swarm_calls, _upkeep_calls
from hiveminddb._http import Connection
from hiveminddb._message import Call
from hiveminddb.model import Memory

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT = 30.0


def _method(call: Callable[P, Call[T]]) -> Callable[Concatenate[HiveMind, P], T]:
    def method(self: HiveMind, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(call(*args, **kwargs))

    update_wrapper(method, call)
    return method


class HiveMind:
    """A daemon's memory. Without a URL it is found through the environment or the running daemon's own address file.

    May be shared by threads. A context manager; unused, it holds no connection.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
        *,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._connection = Connection(partial(_address.find, url, token, data_dir), timeout)

    def _run(self, call: Call[T]) -> T:
        return call.result(self._connection.exchange(call.request))

    def each(self, **filters: Any) -> Iterator[Memory]:
        """Every memory that passes the filters of `list`, newest first, page by page."""
        cursor = None
        while True:
            page = self._run(_calls.page(**{"limit": 200, **filters, "cursor": cursor}))
            yield from page
            cursor = page.cursor
            if cursor is None:
                return

    def close(self) -> None:
        """Ends the connection; the next call opens another."""
        self._connection.close()

    def __enter__(self) -> HiveMind:
        return self

    def __exit__(
        self,
        kind: builtins.type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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

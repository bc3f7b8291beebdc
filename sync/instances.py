"""Tells two machines that run under one identity, as after copying a data folder, from one that starts again. Pure."""

from __future__ import annotations

from collections.abc import Callable

from hiveminddb.model import NodeId

# Starts remembered of each node; two machines take turns, so few are enough.
REMEMBERED = 8
# Copies that are both there take turns within half a minute.
SHOWN_SECONDS = 300.0


class Instances:
    """What each start of a node called itself: one that comes back after another one was met runs beside it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._met: dict[NodeId, list[bytes]] = {}
        self._until: dict[NodeId, float] = {}

    def meet(self, node: NodeId, instance: bytes) -> bool:
        """A link to this start of the node is up; whether it is news that the node runs twice."""
        met = self._met.setdefault(node, [])
        comes_back = instance in met[:-1]
        if instance in met:
            met.remove(instance)
        met.append(instance)
        del met[:-REMEMBERED]
        is_news = comes_back and not self.doubled(node)
        if comes_back:
            self._until[node] = self._clock() + SHOWN_SECONDS
        return is_news

    def doubled(self, node: NodeId) -> bool:
        """Whether two machines have lately been met under this id."""
        return self._clock() < self._until.get(node, 0.0)

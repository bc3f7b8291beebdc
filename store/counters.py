"""The numbers the writer hands out; read from the tables once, then counted in memory."""

from __future__ import annotations

import apsw

from hiveminddb.model import NodeId
from hiveminddb.store import changes
from hiveminddb.store.order import Order


class Counters:
    """The last number of each kind given out; made anew after a rollback, so that none is skipped or repeated."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.n = changes.last_change(connection)
        self.slot = int(connection.execute("SELECT coalesce(max(slot), 0) FROM memories").get)
        self.vector = changes.version_vector(connection)
        self.order = Order(connection)

    def last_counter(self, origin: str) -> int:
        """The highest counter of an origin in the log, 0 when it has none there."""
        return self.vector.get(NodeId(origin), 0)

"""The numbers the writer hands out; read from the tables once, then counted in memory."""

from __future__ import annotations

import apsw

from hiveminddb.store import changes


class Counters:
    """The last number of each kind given out; made anew after a rollback, so that none is skipped or repeated."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._origins: dict[str, int] = {}
        self.n = changes.last_change(connection)
        self.seq = changes.last_seq(connection)
        self.slot = int(connection.execute("SELECT coalesce(max(slot), 0) FROM memories").get)

    def last_counter(self, origin: str) -> int:
        """The highest counter of an origin in the log, 0 when it has none there."""
        if (known := self._origins.get(origin)) is not None:
            return known
        found = self._connection.execute("SELECT max(counter) FROM changes WHERE origin = ?", (origin,)).get
        return self._origins.setdefault(origin, int(found or 0))

    def saw(self, origin: str, counter: int) -> None:
        """Takes note of a change appended."""
        self._origins[origin] = max(counter, self.last_counter(origin))

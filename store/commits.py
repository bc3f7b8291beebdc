"""The swarm's order of changes, kept as runs: positions of the order that are consecutive changes of one origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import apsw

from hiveminddb.model import NodeId
from hiveminddb.store.vault_state import meta

# The position of the change in a row `c` of `changes`, NULL while it has none that is known here.
SEQ_OF_C = (
    "(SELECT CASE WHEN c.counter < r.counter + r.count THEN r.seq + c.counter - r.counter END FROM commits r"
    " WHERE r.origin = c.origin AND r.counter <= c.counter ORDER BY r.counter DESC LIMIT 1)"
)

BASE = "order.base"
SOLE = "swarm.sole"
ALONE = "order.alone"
STEPPED = "order.stepped"

_RUN = "SELECT seq, origin, counter, count FROM commits"
# A loose walk over the index: two look-ups an origin, however many runs there are.
_LAST_OF_EACH = (
    "WITH RECURSIVE o(origin) AS (SELECT min(origin) FROM commits UNION ALL"
    " SELECT (SELECT min(origin) FROM commits WHERE origin > o.origin) FROM o WHERE o.origin IS NOT NULL)"
    " SELECT origin, (SELECT counter + count - 1 FROM commits r WHERE r.origin = o.origin"
    " ORDER BY counter DESC LIMIT 1) FROM o WHERE origin IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Run:
    """Positions `seq`, `seq` + 1, … are the changes `counter`, `counter` + 1, … of an origin, `count` of them."""

    seq: int
    origin: NodeId
    counter: int
    count: int

    @property
    def last(self) -> int:
        """Its last position."""
        return self.seq + self.count - 1

    def part(self, first: int, last: int) -> Run | None:
        """What of it lies in these positions, None where nothing does."""
        first, last = max(first, self.seq), min(last, self.last)
        if first > last:
            return None
        return Run(first, self.origin, self.counter + first - self.seq, last - first + 1)

    def goes_on(self, after: Run | None) -> bool:
        """Whether it is the continuation of another: the same origin, the next position, the next counter."""
        if after is None:
            return False
        return (self.seq, self.origin, self.counter) == (after.last + 1, after.origin, after.counter + after.count)


class Base(NamedTuple):
    """Where a snapshot left off: the last position then, and the last counter of each origin in the order."""

    seq: int
    ordered: Mapping[NodeId, int]

    def follows(self, earlier: Mapping[NodeId, int]) -> bool:
        """Whether an order that began with these counters can have come here."""
        return all(counter <= self.ordered.get(origin, 0) for origin, counter in earlier.items())


def seq_of(connection: apsw.Connection, origin: str, counter: int) -> int | None:
    """The position of a change, None while it is pending, or while its run is not known here."""
    query = f"{_RUN} WHERE origin = ? AND counter <= ? ORDER BY counter DESC LIMIT 1"
    run = _run(connection.execute(query, (origin, counter)).fetchone())
    return run.seq + counter - run.counter if run and counter < run.counter + run.count else None


def run_at(connection: apsw.Connection, seq: int) -> Run | None:
    """The run that holds a position, None where none is known."""
    run = last_run(connection, seq)
    return run if run and seq <= run.last else None


def last_run(connection: apsw.Connection, upto: int = 1 << 62) -> Run | None:
    """The last run that begins up to a position."""
    return _run(connection.execute(f"{_RUN} WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (upto,)).fetchone())


def last_seq(connection: apsw.Connection) -> int:
    """The last position of the committed order, 0 when there is none."""
    run = last_run(connection)
    return max(base_of(connection).seq, run.last if run else 0)


def known_upto(connection: apsw.Connection) -> int:
    """The last position before the first hole: up to it all runs are known here."""
    base = base_of(connection)
    run = last_run(connection, base.seq)
    known = run.last if run else 0
    return last_seq(connection) if known >= base.seq else known


def ordered_vector(connection: apsw.Connection) -> dict[NodeId, int]:
    """The last counter of each origin that has a place in the order."""
    ordered = dict(base_of(connection).ordered)
    for origin, counter in connection.execute(_LAST_OF_EACH):
        ordered[origin] = max(counter, ordered.get(origin, 0))
    return ordered


def ordered_upto(connection: apsw.Connection, seq: int) -> dict[NodeId, int]:
    """The last counter of each origin in the positions up to this one, all of which are known."""
    query = "SELECT origin, max(counter + min(count - 1, ?1 - seq)) FROM commits WHERE seq <= ?1 GROUP BY origin"
    return dict(connection.execute(query, (seq,)))


def runs_after(connection: apsw.Connection, seq: int, limit: int) -> list[Run]:
    """At most `limit` runs of the positions after this one, up to the first hole; the first is cut to begin there."""
    found: list[Run] = []
    first = run_at(connection, seq + 1)
    rows = connection.execute(f"{_RUN} WHERE seq >= ? ORDER BY seq LIMIT ?", (first.seq if first else 1 << 62, limit))
    for run in (Run(*row) for row in rows):
        if found and run.seq != found[-1].last + 1:
            break
        found.append(run)
    return [part for run in found if (part := run.part(seq + 1, run.last))]


def sole(connection: apsw.Connection) -> bool:
    """Whether this node is the one that gives positions without steps."""
    return meta(connection, SOLE) != ""


def alone(connection: apsw.Connection) -> bool:
    """Whether, by the steps taken, one node gives positions without steps."""
    return meta(connection, ALONE) != ""


def base_of(connection: apsw.Connection) -> Base:
    """The snapshot the order was last taken from, the empty one where it never was."""
    value = meta(connection, BASE)
    return Base(*json.loads(value)) if value else Base(0, {})


def stepped_of(connection: apsw.Connection) -> Base | None:
    """The order as the last step taken here left it, where peers have told of more since; else None."""
    value = meta(connection, STEPPED)
    return Base(*json.loads(value)) if value else None


def _run(row: tuple[int, NodeId, int, int] | None) -> Run | None:
    return Run(*row) if row else None

"""Where the order will stand once all steps that consensus has delivered are taken; known before they are. Pure.

A delivered step is on the disks of a majority, and taking it is deterministic: so the positions it gives can be told
while the database is still writing them.
"""

from __future__ import annotations

from collections.abc import Mapping

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import Changes, Command, DecideAlone, DecideTogether, Order
from hiveminddb.model import NodeId
from hiveminddb.store.commits import Run


class Frontier:
    """Goes on from an order by the rule of `store/order.py`; worthless once that order grows otherwise."""

    def __init__(self, seq: int, ordered: Mapping[NodeId, int], alone: bool) -> None:
        self.seq, self.ordered, self._alone = seq, dict(ordered), alone

    def take(self, command: Command | None) -> Run | None:
        """The positions that the next step gives, None where it gives none."""
        match command:
            case Changes():
                first = command.changes[0]
                return self._placed(NodeId(first.origin), first.counter, len(command.changes))
            case Order():
                return self._placed(NodeId(command.origin), command.first, command.count)
            case DecideAlone():
                self._alone = True
            case DecideTogether():
                self._go_on(command)
        return None

    def _go_on(self, command: DecideTogether) -> None:
        self._alone = False
        if command.seq > self.seq:
            at = commands.reached(command)
            self.seq, self.ordered = at.seq, dict(at.ordered)

    def _placed(self, origin: NodeId, first: int, count: int) -> Run | None:
        ordered = self.ordered.get(origin, 0)
        new = first + count - 1 - ordered
        if self._alone or first > ordered + 1 or new <= 0:
            return None
        run = Run(self.seq + 1, origin, ordered + 1, new)
        self.seq, self.ordered[origin] = run.last, ordered + new
        return run

"""Which swarm a node with a swarm key joins, so that all with one key end in one swarm. Pure.

Every node follows the same order of swarms: those of several before those of one, and then by the lower tag. A node
moves only to a swarm that comes before its own, which it checks once more when the other has introduced itself, and
admits nobody while it moves. DESIGN.md says why that always ends, and ends in one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hiveminddb.errors import Forbidden, HiveMindError
from hiveminddb.model import NodeId

# Seconds until a node is asked again, at first and at most: one that was busy or away, and one with another key.
PAUSES_S = (1.0, 30.0)
WRONG_KEY_PAUSES_S = (60.0, 3600.0)
# What a network full of inventions may make us remember.
MOST_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a node stands: the tag of its swarm, and whether it is the only one there."""

    node: NodeId
    swarm_tag: str
    alone: bool


def whom_to_join(mine: Standing, seen: Iterable[Standing]) -> tuple[NodeId, ...]:
    """The nodes worth asking, the best first; empty where this node should stay. `seen` have the same key.

    Any of them is a right choice: where the first does not answer, the next one may. A node that is not alone leaves
    its swarm only when the other has proved the key and still comes first: anyone may announce anything.
    """
    better = [other for other in seen if other.swarm_tag != mine.swarm_tag and _place(other) < _place(mine)]
    return tuple(other.node for other in sorted(better, key=lambda other: (_place(other), other.node)))


class Tries:
    """Whom this node has asked in vain, and when it may ask again: pauses double, and differ. Clock passed in.

    A node is named by its id, or where it is not known by its address.
    """

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._pauses: dict[str, tuple[float, float]] = {}

    def may(self, node: str) -> bool:
        """Whether the pause is over."""
        return node not in self._pauses or self._clock() >= self._pauses[node][1]

    def failed(self, node: str, error: HiveMindError) -> None:
        """It did not come about; who does not know the key is asked again much later."""
        first, longest = WRONG_KEY_PAUSES_S if isinstance(error, Forbidden) else PAUSES_S
        last, _ = self._pauses.pop(node, (0.0, 0.0))
        pause = min(max(2 * last, first), longest)
        self._pauses[node] = (pause, self._clock() + pause * (0.5 + self._chance()))
        if len(self._pauses) > MOST_REMEMBERED:
            del self._pauses[next(iter(self._pauses))]


def _place(standing: Standing) -> tuple[bool, str]:
    return standing.alone, standing.swarm_tag

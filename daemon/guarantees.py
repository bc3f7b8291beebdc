"""How sure a write is when it is answered, and how fresh what is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from hiveminddb.daemon.swarm_cases import Ack, Consistency
from hiveminddb.daemon.usecases import Receipt
from hiveminddb.errors import NoQuorum, OutcomeUnknown

# `auto` waits so long for a place in the order, `quorum` so long before it says that it cannot tell.
AUTO_SECONDS = 1.0
QUORUM_SECONDS = 10.0


class Writing(Struct, forbid_unknown_fields=True, kw_only=True):
    """When a write is answered: durable here, in the order if that can be had at once, or in the order."""

    ack: Ack = "auto"


class Reading(Struct, forbid_unknown_fields=True, kw_only=True):
    """How fresh: what this node has, or all that was committed anywhere before the request."""

    consistency: Consistency = "local"


class Acknowledging:
    """Waits for a write's place in the order, as long as its caller wants it to."""

    def __init__(self, has_quorum: Callable[[], bool], placed: Callable[[int, float], Awaitable[int | None]]) -> None:
        """`placed` gives the position of this node's change with a counter, None where it gets none in that time."""
        self._has_quorum, self._placed = has_quorum, placed

    def begin(self, ack: Ack) -> None:
        """Before anything is written: NoQuorum where the order is wanted and cannot be had."""
        if ack == "quorum" and not self._has_quorum():
            raise NoQuorum(
                "nothing was written: ack=quorum, and most of the swarm is not reachable",
                "write with ack=auto: it is kept here and committed once the others are back",
            )

    async def end(self, receipt: Receipt, counter: int, ack: Ack) -> Receipt:
        """What the write has by now, up to the change with that counter; OutcomeUnknown where `quorum` got no place."""
        if receipt.status == "committed" or ack == "local" or (ack == "auto" and not self._has_quorum()):
            return receipt
        seq = await self._placed(counter, AUTO_SECONDS if ack == "auto" else QUORUM_SECONDS)
        if seq is not None:
            return Receipt("committed", seq)
        if ack == "auto":
            return receipt
        raise OutcomeUnknown(
            f"written and kept here, but not committed by the swarm within {QUORUM_SECONDS:.0f} s",
            "do not write it again: it is committed once most machines are back, see hmd status",
        )

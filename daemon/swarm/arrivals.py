"""Takes in what peers tell this node of: changes, and their places in the order."""

from __future__ import annotations

from collections.abc import Callable

from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.standing import epoch_of
from hiveminddb.model import NodeId
from hiveminddb.store import ahead
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.antientropy import Batch, received


class Arrivals:
    """`votes` says whether this node votes: its order is then what its own log decides, not what a peer tells.

    What peers say of the order of another epoch is passed over.
    """

    def __init__(self, database: Database, intake: Intake, machine: Machine, votes: Callable[[], bool]) -> None:
        self._database, self._intake, self._machine, self._votes = database, intake, machine, votes
        # Whom to tell up to which counter an origin's changes have a place now.
        self.on_ordered: Callable[[NodeId, int], None] = lambda origin, counter: None
        # Whom to tell that something new is here.
        self.on_taken: Callable[[], None] = lambda: None

    async def take(self, batch: Batch) -> None:
        """What a peer told this node of; an order that does not fit is reported by whoever supervises the pull."""
        carried = [received(change) for change in batch.changes]
        runs = [Run(run.seq, run.origin, run.counter, run.count) for run in batch.runs]
        extend = not self._votes()

        def take(tx: Transaction) -> tuple[dict[NodeId, int], bool]:
            self._intake.take(tx, carried)
            # It may have become a voter while this waited.
            if batch.epoch == epoch_of(tx.connection):
                tx.order.put(runs, extend and not self._votes())
            return dict(tx.order.ordered), bool(ahead.origins(tx.connection))

        write = self._machine.aside if extend else self._database.write
        ordered, are_kept = await write(take)
        if are_kept:
            await self.catch_up()
        for origin, counter in ordered.items():
            self.on_ordered(origin, counter)
        self.on_taken()

    async def catch_up(self) -> None:
        """Take what consensus had ordered before the changes that it follows were here, as far as they are now."""
        while await self._database.write(self._intake.take_kept):
            pass

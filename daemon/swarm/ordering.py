"""Brings this node's pending changes into the swarm's order, and tells who waits for one when it has its place.

Changes are proposed in the order of their counters, some commands ahead of what is decided. A command that fails makes
those behind it void (they would leave a gap): once none is under way, it goes on from what is ordered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import Changes, Order
from hiveminddb.daemon.swarm.queueing import Queue
from hiveminddb.errors import StorageError, Unavailable
from hiveminddb.model import Change, NodeId
from hiveminddb.store import changes, commits
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Connection, Database
from hiveminddb.sync.antientropy import Vector, covers

log = logging.getLogger(__name__)

# Commands under way at once, and the bytes read for them at a time.
MOST_UNDER_WAY = 8
READ_BYTES = 1024 * 1024

PROPOSE_SECONDS = 5.0
# A change that was told committed and does not show in the order here is proposed again after this.
STALE_SECONDS = 1.0
# All else rings.
IDLE_SECONDS = 10.0
# The leader looks this often for changes of nodes that are away.
SWEEP_SECONDS = 2.0


class Proposer(Protocol):
    """Consensus, as far as it is needed here."""

    async def propose(self, command: bytes, timeout: float) -> int: ...  # noqa: ASYNC109


class Surroundings(Protocol):
    """What the order depends on beside the log."""

    def origin(self) -> NodeId:
        """Under which this node's changes are made."""
        ...

    def fresh(self, origin: NodeId, counter: int) -> Sequence[Change] | None:
        """The changes of an origin after a counter; None where they must be looked up."""
        ...

    def has_quorum(self) -> bool: ...

    def leads(self) -> bool: ...

    def voters(self) -> frozenset[NodeId]: ...

    def vectors(self) -> Mapping[NodeId, Vector]:
        """The version vectors that linked nodes last told."""
        ...


class Ordering:
    """Open inside `async with`; rung on commits, and told when the order has moved on."""

    def __init__(self, me: NodeId, database: Database, proposer: Proposer, around: Surroundings, bell: Bell) -> None:
        self._me, self._database, self._proposer, self._around, self._bell = me, database, proposer, around, bell
        self._ordered: dict[NodeId, int] = {}
        self._lines: dict[NodeId, _Line] = {}
        self._was_sole = True
        self._under_way: set[asyncio.Task[None]] = set()
        self._queue = Queue()
        self._tasks: list[asyncio.Task[None]] = []
        # Asks that peers be told at once, where a change must be known elsewhere before it can be ordered.
        self.on_must_spread: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        await self.reload()
        self._tasks = [
            asyncio.create_task(supervised("ordering", self._run)),
            asyncio.create_task(supervised("sweeping", self._sweep)),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._tasks, *self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks, for whoever supervises them."""
        return self._tasks

    def foreseen(self, run: Run) -> None:
        """Changes will have these positions whatever happens; the order here does not go so far yet."""
        self._queue.placed(run)

    def moved_on(self, origin: NodeId, counter: int) -> None:
        """The order, durable here, now goes up to this counter of an origin."""
        self._ordered[origin] = max(counter, self._ordered.get(origin, 0))
        self._queue.reached(origin, counter)

    async def reload(self) -> None:
        """The order is another one, or has grown without telling."""
        self._ordered, self._lines = {}, {}
        for origin, counter in (await self._database.read(commits.ordered_vector)).items():
            self.moved_on(origin, counter)
        self._bell.ring()

    async def placed(self, counter: int, seconds: float) -> int | None:
        """The position of a change of this node once it has one; None where that takes longer than the time given."""
        origin = self._around.origin()
        if counter > self._ordered.get(origin, 0) and seconds > 0:
            answer = self._queue.join(origin, counter)
            await asyncio.wait([answer], timeout=seconds)
            if not answer.cancel() and (seq := answer.result()):
                return seq
        if counter > self._ordered.get(origin, 0):
            return None
        return await self._database.read(lambda db: commits.seq_of(db, origin, counter))

    async def _run(self) -> None:
        while True:
            await self._bell.heard(STALE_SECONDS if self._is_restless() else IDLE_SECONDS)
            if not await self._is_sole() and self._around.has_quorum():
                for origin in self._represented():
                    await self._advance(origin)

    def _is_restless(self) -> bool:
        """Whether something that was proposed has no place yet."""
        lines = self._lines.items()
        return any(line.under_way or line.proposed > self._ordered.get(origin, 0) for origin, line in lines)

    def _represented(self) -> frozenset[NodeId]:
        """For whom this node proposes: for itself where it votes, and as the leader for linked nodes that do not."""
        voters = self._around.voters()
        learners = self._around.vectors().keys() - voters if self._around.leads() else frozenset()
        return (self._own() if self._me in voters else frozenset()) | learners

    def _own(self) -> frozenset[NodeId]:
        """The origins of this node that may have changes without a place."""
        return frozenset({self._me, self._around.origin()})

    async def _is_sole(self) -> bool:
        """Whether writes order themselves; they do so without telling."""
        is_sole = self._database.sole
        if self._was_sole and not is_sole:
            await self.reload()
        self._was_sole = is_sole
        return is_sole

    async def _sweep(self) -> None:
        """What nodes that are away left pending is ordered by the leader: it may be away for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._around.leads() and self._around.has_quorum() and not self._was_sole:
                known = await self._database.read(changes.version_vector)
                absent = known.keys() - self._around.vectors().keys() - self._own()
                for origin in absent:
                    if known[origin] > self._ordered.get(origin, 0):
                        await self._advance(origin)

    async def _advance(self, origin: NodeId) -> None:
        line = self._lines.setdefault(origin, _Line(self._ordered.get(origin, 0)))
        ordered = self._ordered.get(origin, 0)
        if not line.under_way:
            line.proposed = ordered if line.is_stale(ordered) else max(line.proposed, ordered)
        while len(line.under_way) < MOST_UNDER_WAY:
            pending = self._around.fresh(origin, line.proposed)
            if pending is None:
                pending = await self._database.read(partial(_pending, origin, line.proposed))
            if not pending or not self._start(line, pending):
                return

    def _start(self, line: _Line, pending: Sequence[Change]) -> bool:
        """Proposes what may be under way; whether there is room for more."""
        for command in commands.proposals(pending):
            if len(line.under_way) == MOST_UNDER_WAY:
                return False
            if isinstance(command, Order) and not self._is_spread(command):
                self.on_must_spread()
                return False
            line.proposed = _last(command)
            task = asyncio.create_task(self._propose(line, command))
            line.under_way.add(task)
            self._under_way.add(task)
        return True

    async def _propose(self, line: _Line, command: Changes | Order) -> None:
        try:
            await self._proposer.propose(commands.encode(command), PROPOSE_SECONDS)
        except (Unavailable, StorageError) as error:
            log.debug("not ordered yet upto=%d reason=%s", _last(command), error)
        finally:
            task = asyncio.current_task()
            assert task is not None
            line.under_way.discard(task)
            self._under_way.discard(task)
            line.since = asyncio.get_running_loop().time()
            self._bell.ring()

    def _is_spread(self, command: Order) -> bool:
        """Whether a majority of the voters has changes that travel without their content."""
        last, voters = command.first + command.count - 1, self._around.voters()
        having = {
            node for node, vector in self._around.vectors().items() if covers(vector, NodeId(command.origin), last)
        }
        return 2 * len((having | {self._me}) & voters) > len(voters)


class _Line:
    """One origin's proposals: up to which counter they went, and those without an answer."""

    def __init__(self, proposed: int) -> None:
        self.proposed = proposed
        self.under_way: set[asyncio.Task[None]] = set()
        self.since = 0.0

    def is_stale(self, ordered: int) -> bool:
        """Whether what was proposed has been answered, and still has no place after a while."""
        return ordered < self.proposed and asyncio.get_running_loop().time() - self.since >= STALE_SECONDS


def _last(command: Changes | Order) -> int:
    return command.changes[-1].counter if isinstance(command, Changes) else command.first + command.count - 1


def _pending(origin: NodeId, after: int, connection: Connection) -> list[Change]:
    return changes.changes_from(connection, origin, after, READ_BYTES)

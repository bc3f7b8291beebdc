"""Brings this node's pending changes into the swarm's order, and tells who waits for one when it has its place.

Changes are proposed in the order of their counters, some commands ahead of what is decided. A command that fails makes
those behind it void (they would leave a gap): once none is under way, it goes on from what is ordered. Content that has
travelled once goes again less and less often, so that a swarm which decides slowly is not given more to decide for it;
what a majority has meanwhile by other ways is ordered without its content.
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
from hiveminddb.errors import NoQuorum, StorageError, Unavailable
from hiveminddb.model import Change, NodeId
from hiveminddb.store import changes, commits
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Connection, Database
from hiveminddb.sync.antientropy import Vector

log = logging.getLogger(__name__)

# Commands under way at once, and the bytes read for them at a time.
MOST_UNDER_WAY = 8
READ_BYTES = 1024 * 1024

PROPOSE_SECONDS = 5.0
# A change that was told committed and does not show in the order here is proposed again after this.
STALE_SECONDS = 1.0
ALL = 2**63 - 1
# Content is proposed again after twice the time of the last time, up to this.
LONGEST_PAUSE = 64.0
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

    def applied(self) -> int:
        """Up to which step this node's state goes."""
        ...

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
        self._was_alone = True
        # One at a time: what was read of a swarm that has been left would stay.
        self._reading = asyncio.Lock()
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
        async with self._reading:
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
            if not await self._is_alone() and self._around.has_quorum():
                for origin in self._represented():
                    await self._advance(origin)

    def _is_restless(self) -> bool:
        """Whether something that was proposed has no place yet."""
        return any(line.waits(self._ordered.get(origin, 0)) for origin, line in self._lines.items())

    def _represented(self) -> frozenset[NodeId]:
        """For whom this node proposes: for itself where it votes, and as the leader for linked nodes that do not."""
        voters = self._around.voters()
        learners = self._around.vectors().keys() - voters if self._around.leads() else frozenset()
        return (self._own() if self._me in voters else frozenset()) | learners

    def _own(self) -> frozenset[NodeId]:
        """The origins of this node that may have changes without a place."""
        return frozenset({self._me, self._around.origin()})

    async def _is_alone(self) -> bool:
        """Whether positions are given without steps, and so without telling."""
        is_alone = self._database.alone
        if self._was_alone and not is_alone:
            await self.reload()
        self._was_alone = is_alone
        return is_alone

    async def _sweep(self) -> None:
        """What nodes that are away left pending is ordered by the leader: it may be away for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._around.leads() and self._around.has_quorum() and not self._was_alone:
                known = await self._database.read(changes.version_vector)
                absent = known.keys() - self._around.vectors().keys() - self._own()
                for origin in absent:
                    if known[origin] > self._ordered.get(origin, 0):
                        await self._advance(origin)

    async def _advance(self, origin: NodeId) -> None:
        line = self._lines.setdefault(origin, _Line(self._ordered.get(origin, 0)))
        line.go_on(self._ordered.get(origin, 0), self._around.applied())
        spread = self._spread(origin)
        while len(line.under_way) < MOST_UNDER_WAY:
            pending = self._around.fresh(origin, line.proposed)
            if pending is None:
                pending = await self._database.read(partial(_pending, origin, line.proposed))
            if not pending or not self._start(line, pending, spread):
                return

    def _start(self, line: _Line, pending: Sequence[Change], spread: int) -> bool:
        """Proposes what may be under way; whether there is room for more."""
        for command in commands.proposals(pending, spread):
            if len(line.under_way) == MOST_UNDER_WAY:
                return False
            if not (line.may_carry(command) if isinstance(command, Changes) else _last(command) <= spread):
                self.on_must_spread()
                return False
            line.proposed = _last(command)
            task = asyncio.create_task(self._propose(line, command))
            line.under_way.add(task)
            self._under_way.add(task)
        return True

    async def _propose(self, line: _Line, command: Changes | Order) -> None:
        try:
            line.decided = max(line.decided, await self._proposer.propose(commands.encode(command), PROPOSE_SECONDS))
            line.carried = max(line.carried, _last(command))
        except (Unavailable, StorageError) as error:
            log.debug("not ordered yet upto=%d reason=%s", _last(command), error)
            if not isinstance(error, NoQuorum):
                line.carried = max(line.carried, _last(command))
        finally:
            task = asyncio.current_task()
            assert task is not None
            line.under_way.discard(task)
            self._under_way.discard(task)
            line.since = asyncio.get_running_loop().time()
            self._bell.ring()

    def _spread(self, origin: NodeId) -> int:
        """Up to which counter a majority of the voters has the changes of an origin that this node has."""
        voters, vectors = self._around.voters(), self._around.vectors()
        having = [vectors.get(node, {}).get(origin, 0) for node in voters - {self._me}]
        return commands.majority([*having, *([ALL] if self._me in voters else [])])


class _Line:
    """One origin's proposals: up to which counter they went, with and without content, and those without an answer."""

    def __init__(self, ordered: int) -> None:
        self.ordered = self.proposed = self.carried = ordered
        self.under_way: set[asyncio.Task[None]] = set()
        # The last step that is known to hold one of them, and when the last one was answered.
        self.decided, self.since = 0, 0.0
        self._pause, self._carries_at = STALE_SECONDS, 0.0

    def waits(self, ordered: int) -> bool:
        """Whether something that was proposed has no place yet."""
        return bool(self.under_way) or max(self.proposed, self.carried) > ordered

    def go_on(self, ordered: int, applied: int) -> None:
        """Goes back to what is ordered, where what was proposed has been answered and has no place after a while."""
        now = asyncio.get_running_loop().time()
        if ordered > self.ordered:
            self.ordered, self._pause = ordered, STALE_SECONDS
        if self.under_way:
            return
        is_stale = now - self.since >= STALE_SECONDS and applied >= self.decided
        if not is_stale or max(self.proposed, self.carried) <= ordered:
            self.proposed = max(self.proposed, ordered)
            return
        self.proposed = ordered
        if now >= self._carries_at:
            self.carried = ordered
            self._carries_at, self._pause = now + self._pause, min(2 * self._pause, LONGEST_PAUSE)

    def may_carry(self, command: Changes) -> bool:
        """Whether content may travel now: for the first time, or after its pause."""
        return command.changes[0].counter > self.carried


def _last(command: Changes | Order) -> int:
    return command.changes[-1].counter if isinstance(command, Changes) else command.first + command.count - 1


def _pending(origin: NodeId, after: int, connection: Connection) -> list[Change]:
    return changes.changes_from(connection, origin, after, READ_BYTES)

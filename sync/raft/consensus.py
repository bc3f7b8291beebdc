"""Consensus on the event loop: a Replica, stepped when something has come in, is asked for, or is due."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from hiveminddb.errors import Conflict, Corrupt, HiveMindError, InvalidFrame, InvalidInput, NoQuorum, TooLarge
from hiveminddb.model import NodeId
from hiveminddb.sync.raft import journal as journal_file
from hiveminddb.sync.raft.codec import LARGEST_COMMAND
from hiveminddb.sync.raft.journal import Base, Journal
from hiveminddb.sync.raft.replica import Committed, Replica, finish, unfinished
from hiveminddb.sync.raft.requests import Kind, Outcome, Ticket
from hiveminddb.sync.raft.snapshot import NAME as SNAPSHOT
from hiveminddb.sync.raft.storage import Folder

log = logging.getLogger(__name__)

_TAG_BYTES = 8

# Seconds for a node to catch up and be a voter, or to be none any more; and for a leader to hand over.
_CHANGE_SECONDS = 15.0
_HAND_OVER_SECONDS = 3.0

# Seconds until the machine is asked again for a state that peers can begin with.
_COPY_AGAIN = 0.1


class Machine(Protocol):
    """The state that the commands make."""

    @property
    def applied(self) -> int:
        """The last index whose effect is durable."""

    def deliver(self, entries: Sequence[Committed]) -> None:
        """In order, without gaps, from `applied` + 1 after a start; does not block."""

    async def snapshot(self) -> tuple[int, bytes]:
        """(an index whose effect is durable, the state after it)."""

    async def install(self, index: int, term: int, state: bytes) -> None:
        """Replaces the state by that after `index`; durable on return, `applied` is `index`."""


class Wire(Protocol):
    def send(self, peer: NodeId, payload: bytes) -> bool:
        """False where it was certainly not sent."""

    def connected(self) -> frozenset[NodeId]: ...


@dataclass(frozen=True, slots=True)
class View:
    """What this node knows of consensus. `has_quorum`: decisions can be had, as far as can be told from here.

    `voters` are those of its log; `settled` those of what it knows to be committed, which are others during a change.
    """

    role: str
    leader: NodeId | None
    term: int
    voters: frozenset[NodeId]
    commit: int
    has_quorum: bool
    settled: frozenset[NodeId]


class Consensus:
    """One order of commands on all voters. An async context manager on the running loop.

    A storage error ends it: `on_failure` is called once, and every call raises that error from then on. A log that
    could not be written must not be gone on with, so the daemon ends; by default that is a SystemExit in the loop.
    """

    def __init__(
        self,
        me: NodeId,
        folder: Path,
        voters: frozenset[NodeId],
        machine: Machine,
        wire: Wire,
        *,
        epoch: str = "",
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        """`voters` is the first configuration, used only where the folder is empty.

        `epoch` names this consensus among those formed of the same nodes, one after another: messages of another are
        not heard, for a log begun anew and an old one have different entries of the same number and term.
        """
        self._tag = hashlib.sha256(epoch.encode()).digest()[:_TAG_BYTES]
        self.on_view: Callable[[View], None] = lambda view: None
        self.on_failure: Callable[[BaseException], None] = _end
        self._me, self._path, self._first_voters = me, folder, voters
        self._machine, self._wire, self._clock = machine, wire, clock
        self._chance = chance or random.Random()
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._timed = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._copying = self._installing = False
        self._failure: BaseException | None = None
        self._shown: View | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._storage = Folder(self._path)
        try:
            await self._finish_install()
            self._replica = Replica(
                self._me,
                self._storage,
                self._first_voters,
                self._machine.applied,
                self._send,
                self._machine.deliver,
                self._clock,
                self._chance,
            )
        except BaseException:
            self._storage.close()
            raise
        for peer in self._wire.connected():
            self._replica.peer_up(peer)
        self._wake()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(NoQuorum("consensus is shutting down", "try again once the daemon runs"))
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._storage.close()

    @property
    def view(self) -> View:
        replica, voter = self._replica, self._replica.voter
        term, commit = voter.engine.term, voter.engine.commit
        settled = voter.configuration.at(max(commit, voter.journal.base_index))
        return View(replica.role, voter.leader, term, voter.voters, commit, replica.has_quorum, settled)

    @property
    def last(self) -> int:
        """The index of the last entry in this node's log."""
        return self._replica.voter.journal.last_index

    # From links.

    def received(self, peer: NodeId, payload: bytes) -> None:
        """Raises InvalidFrame for what is no message: such a peer is to be dropped."""
        if len(payload) < _TAG_BYTES:
            raise InvalidFrame(f"a consensus message of {len(payload)} bytes")
        if self._failure is None and payload.startswith(self._tag):
            self._replica.received(peer, payload[_TAG_BYTES:])
            self._wake()

    def peer_up(self, peer: NodeId) -> None:
        if self._failure is None:
            self._replica.peer_up(peer)
            self._wake()

    def peer_down(self, peer: NodeId) -> None:
        if self._failure is None:
            self._replica.peer_down(peer)
            self._wake()

    # From the daemon.

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109
        """The index at which it is committed; waits for a leader up to `timeout` seconds.

        Raises NoQuorum (certainly not proposed), OutcomeUnknown (maybe), TooLarge (over 512 KiB), InvalidInput (empty).
        """
        if not command:
            raise InvalidInput("a command without any byte")
        if len(command) > LARGEST_COMMAND:
            raise TooLarge(f"a command of {len(command)} bytes", f"at most {LARGEST_COMMAND}")
        return await self._settled(Kind.PROPOSE, command, timeout)

    async def barrier(self, timeout: float) -> int:  # noqa: ASYNC109
        """An index which, once applied, makes a read here linearizable (Raft, section 8). Raises NoQuorum."""
        return await self._settled(Kind.BARRIER, b"", timeout)

    async def add_voter(self, node: NodeId) -> None:
        """The node runs, catches up, and then votes. Raises NoQuorum, OutcomeUnknown, Conflict (not now)."""
        await self._settled(Kind.ADD, node.encode(), _CHANGE_SECONDS)

    async def remove_voter(self, node: NodeId) -> None:
        """A leader hands over before it goes. Raises NoQuorum, OutcomeUnknown, Conflict (not now)."""
        await self._settled(Kind.REMOVE, node.encode(), _CHANGE_SECONDS)

    async def transfer(self, to: NodeId) -> None:
        """This leader hands over. Raises Conflict where it does not lead or `to` did not take over."""
        self._check()
        self._replica.hand_over(to)
        self._wake()
        end = self._loop.time() + _HAND_OVER_SECONDS
        while self._replica.voter.leader != to:
            if self._loop.time() > end:
                raise Conflict(f"{to} did not take over", "it may be slow or gone; try again")
            await asyncio.sleep(0.01)

    @staticmethod
    def has_begun(folder: Path) -> bool:
        """Whether a log lies there; one that is damaged counts as well."""
        return (folder / journal_file.NAME).exists()

    @staticmethod
    def reset(folder: Path, voters: frozenset[NodeId], index: int, term: int) -> None:
        """Throws the log away: consensus begins with these voters behind (index, term), where the machine must stand.

        Only while no Consensus is open there. The term never falls below one that this node has voted in.
        """
        storage = Folder(folder)
        try:
            base = Base(index, term, voters)
            try:
                Journal(storage, base).begin_anew(base)
            except Corrupt:
                storage.remove(journal_file.NAME)
                Journal(storage, base)
            storage.remove(SNAPSHOT)
        finally:
            storage.close()

    def _send(self, peer: NodeId, payload: bytes) -> bool:
        return self._wire.send(peer, self._tag + payload)

    # Stepping.

    def _wake(self) -> None:
        if not self._woken and self._failure is None:
            self._woken = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._woken = False
        if self._failure is not None:
            return
        sound = False
        try:
            self._replica.step()
            self._replica.compact(self._machine.applied)
            sound = True
        except HiveMindError as error:
            self._fail(error)
            return
        finally:
            if not sound and self._failure is None:
                self._fail(RuntimeError("consensus stopped in the middle of a step"))
        self._start_copying()
        self._show()
        self._plan()

    def _plan(self) -> None:
        """The next step: at once, or when its time has come."""
        if self._replica.busy:
            self._wake()
            return
        due = self._replica.next_due()
        if self._timer is not None and not self._timer.cancelled():
            # A timer that is early costs less than to make a new one at every step.
            if self._timed <= due:
                return
            self._timer.cancel()
        self._timer = None
        if due != float("inf"):
            self._timed = due
            self._timer = self._loop.call_later(max(0.0, due - self._clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._step()

    def _show(self) -> None:
        view = self.view
        shown = self._shown
        self._shown = view
        if shown is None or _without_commit(view) != _without_commit(shown):
            self.on_view(view)

    async def _settled(self, kind: Kind, body: bytes, timeout: float) -> int:  # noqa: ASYNC109
        self._check()
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self._replica.submit(Ticket(kind, body, self._clock() + timeout, done))
        self._wake()
        outcome = await future
        if isinstance(outcome, int):
            return outcome
        raise outcome

    # Snapshots.

    def _start_copying(self) -> None:
        if self._replica.installing and not self._installing:
            self._installing = True
            self._start(self._install())
        if self._replica.snapshot_wanted and not self._copying:
            self._copying = True
            self._start(self._copy())

    async def _copy(self) -> None:
        try:
            index, state = await self._machine.snapshot()
            if not self._replica.offer(index, state):
                await asyncio.sleep(_COPY_AGAIN)
        finally:
            self._copying = False
        self._wake()

    async def _install(self) -> None:
        snapshot = self._replica.installing
        assert snapshot is not None
        try:
            await self._machine.install(snapshot.base.index, snapshot.base.term, snapshot.state)
            if self._failure is None:
                self._replica.installed()
        finally:
            self._installing = False
        self._wake()

    async def _finish_install(self) -> None:
        """An installation that a crash broke off is done again."""
        snapshot = unfinished(self._storage, self._first_voters)
        if snapshot is not None:
            await self._machine.install(snapshot.base.index, snapshot.base.term, snapshot.state)
            finish(self._storage, self._first_voters, snapshot)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    # The end.

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            log.critical("consensus ends error=%s", error)
            self._stop(error)
            self.on_failure(error)

    def _stop(self, reason: BaseException) -> None:
        if self._failure is None:
            self._failure = reason
            if self._timer is not None:
                self._timer.cancel()
            self._replica.voter.requests.close()


def _without_commit(view: View) -> tuple[object, ...]:
    return view.role, view.leader, view.term, view.voters, view.has_quorum, view.settled


def _end(error: BaseException) -> None:
    raise SystemExit(f"consensus cannot go on: {error}")

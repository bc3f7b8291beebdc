"""The replicated state machine: what consensus has committed becomes the state of this node, one step after another."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeVar

from hiveminddb.daemon.swarm import commands, machine_state
from hiveminddb.daemon.swarm.commands import (
    Changes,
    Command,
    Expire,
    Grant,
    Handover,
    Membership,
    Order,
    Release,
    Renew,
)
from hiveminddb.daemon.swarm.deciding import Absorb, Deciding, Result
from hiveminddb.daemon.swarm.frontier import Frontier
from hiveminddb.errors import InvalidFrame, StorageError, Unavailable
from hiveminddb.store import machine
from hiveminddb.store.commits import Run
from hiveminddb.store.database import Database
from hiveminddb.store.transaction import Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")

# One transaction takes at most so many steps, and about so many bytes of them.
MOST_STEPS = 256
MOST_BYTES = 4 * 1024 * 1024
_OF_LEASES = Grant | Renew | Release | Expire

# A disk that is full may have room again.
RETRY_SECONDS = 1.0

# What a recovery leaves out of the numbers for tokens: more than those lost can have given out unseen.
TOKEN_LEAP = 1_000_000


class Entry(Protocol):
    """A committed entry of the log; an empty command is a step that does nothing."""

    @property
    def index(self) -> int: ...

    @property
    def term(self) -> int: ...

    @property
    def command(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Step:
    """An entry that was delivered; without a command it does nothing."""

    index: int
    term: int
    command: Command | None
    weight: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that is durable here, and its result."""

    step: int
    command: Command
    result: Result


# Hears on the loop, after they are durable, of steps of one kind; of none where a snapshot took their place.
Listener = Callable[[Sequence[Taken]], None]


class Machine:
    """Takes committed steps through the store's writer, many in one transaction; open inside `async with`."""

    def __init__(self, database: Database, absorb: Absorb) -> None:
        self._database, self._absorb = database, absorb
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Step] = deque()
        # None while the order may grow otherwise than by steps, or this is not known yet.
        self._frontier: Frontier | None = None
        self._more = asyncio.Event()
        self._expected: dict[bytes, asyncio.Future[Result]] = {}
        self._turn = asyncio.Lock()
        self.applied = 0
        self.term = 0
        self.on_order: list[Listener] = []
        self.on_leases: list[Listener] = []
        self.on_members: list[Listener] = []
        self.on_any: Callable[[], None] = lambda: None
        # Hears first, of positions that a majority has on its disks and this database does not have yet.
        self.on_placed: Callable[[Run], None] = lambda run: None

    async def __aenter__(self) -> Self:
        self._note(await self._database.read(machine.progress))
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        for future in self._expected.values():
            if not future.done():
                future.set_exception(Unavailable("the daemon is stopping", "ask again when it runs"))

    @property
    def task(self) -> asyncio.Task[None]:
        """Never ends but by an error that the daemon cannot go on with."""
        return self._task

    # -- what Raft calls

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Takes committed entries on, in their order; those taken on already are passed over."""
        last = self._waiting[-1].index if self._waiting else self.applied
        steps = [_step(entry) for entry in entries if entry.index > last]
        self._waiting.extend(steps)
        self._foresee(steps)
        self._more.set()

    async def snapshot(self) -> tuple[int, bytes]:
        """The last durable step, and the state it left."""
        state = await self._database.read(machine_state.read)
        return state.progress.step, machine_state.encode(state)

    async def install(self, index: int, term: int, state: bytes) -> None:
        """The state as of that step instead of this node's; InvalidFrame where it is none. Durable on return.

        A state of a step that has been taken already is passed over.
        """
        read = machine_state.decode(state)
        async with self._turn:
            if index <= self.applied:
                return
            self._frontier = None
            await self._database.write(lambda tx: machine_state.write(tx, read, index, term))
            self._note(read.progress._replace(step=index, term=term))
            # What was handed over before belongs to what the snapshot stands for.
            self._waiting.clear()
        self.answer({row.command: Result(row.outcome, row.number, row.text) for row in read.results})
        log.info("state installed step=%d term=%d seq=%d nodes=%d", index, term, read.seq, len(read.nodes))
        self._tell_all()

    # -- what the daemon calls

    async def restart(self, work: Callable[[Transaction], None]) -> None:
        """Another swarm's state, as the work writes it after the steps of the former. Durable on return."""

        def begin_anew(tx: Transaction) -> None:
            # Their positions have been told.
            self._apply(tx, steps)
            work(tx)

        async with self._turn:
            self._frontier, steps = None, [*self._waiting]
            self._waiting.clear()
            await self._database.write(begin_anew)
            self._note(await self._database.read(machine.progress))
        self._tell_all()

    async def aside(self, work: Callable[[Transaction], T]) -> T:
        """A write that may change the order otherwise than by steps; none is taken meanwhile."""
        async with self._turn:
            self._frontier = None
            return await self._database.write(work)

    @contextmanager
    def expecting(self, command: bytes) -> Iterator[asyncio.Future[Result]]:
        """The result of the command with that id, once a step with it has been taken here."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._expected[command] = future
        try:
            yield future
        finally:
            del self._expected[command]

    # -- the steps

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                await self._take_some()

    async def _take_some(self) -> None:
        async with self._turn:
            batch = self._batch()
            taken = await self._durable(batch) if batch else []
            for _ in batch:
                self._waiting.popleft()
        self._tell(taken)

    def _batch(self) -> list[Step]:
        batch: list[Step] = []
        room = MOST_BYTES
        for step in self._waiting:
            if len(batch) == MOST_STEPS or room < 0:
                break
            batch.append(step)
            room -= step.weight
        return batch

    async def _durable(self, steps: Sequence[Step]) -> list[Taken]:
        """Takes the steps; what cannot be written now is tried until it can be, for nothing may be left out."""
        while True:
            try:
                taken, frontier = await self._database.write(lambda tx: (self._apply(tx, steps), _frontier(tx)))
            except (StorageError, Unavailable) as error:
                log.error("steps cannot be taken first=%d reason=%s", steps[0].index, error.message)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.applied, self.term = steps[-1].index, steps[-1].term
            if self._frontier is None:
                self._frontier = frontier
                self._foresee(list(self._waiting)[len(steps) :])
            return taken

    def _apply(self, tx: Transaction, steps: Sequence[Step]) -> list[Taken]:
        """Runs on the writer's thread."""
        deciding, taken = Deciding(tx, self._absorb), []
        for step in steps:
            result = deciding.apply(step.index, step.term, step.command)
            if step.command is not None:
                taken.append(Taken(step.index, step.command, result))
        deciding.finish()
        return taken

    def _foresee(self, steps: Sequence[Step]) -> None:
        """The positions that these steps, the last ones delivered, will give."""
        for step in steps:
            if self._frontier and (run := self._frontier.take(step.command)):
                self.on_placed(run)

    def _note(self, at: machine.Progress) -> None:
        self.applied, self.term = at.step, at.term

    def answer(self, results: Mapping[bytes, Result]) -> None:
        for id, future in self._expected.items():
            if id in results and not future.done():
                future.set_result(results[id])

    def _tell_all(self) -> None:
        self.on_any()
        for listeners in (self.on_order, self.on_members, self.on_leases):
            _tell(listeners, ())

    def _tell(self, taken: Sequence[Taken]) -> None:
        self.on_any()
        self.answer({one.command.id: one.result for one in taken})
        if any(isinstance(one.command, Handover) for one in taken):
            _tell(self.on_order, ())
        kinds = ((self.on_order, Changes | Order), (self.on_members, Membership), (self.on_leases, _OF_LEASES))
        for listeners, kind in kinds:
            if heard := [one for one in taken if isinstance(one.command, kind)]:
                _tell(listeners, heard)


def leap(tx: Transaction) -> None:
    """For a recovery: tokens that lost nodes may have seen and this one has not are never given again."""
    at = machine.progress(tx.connection)
    machine.put_progress(tx.connection, at._replace(token=at.token + TOKEN_LEAP))


def _frontier(tx: Transaction) -> Frontier | None:
    """Where the order stands, None where what is written orders itself."""
    return None if tx.sole else Frontier(*tx.order.stepped, tx.order.alone)


def _step(entry: Entry) -> Step:
    return Step(entry.index, entry.term, _command(entry), len(entry.command))


def _command(entry: Entry) -> Command | None:
    if not entry.command:
        return None
    try:
        return commands.decode(entry.command)
    except InvalidFrame as error:
        log.error("a step that cannot be read is passed over step=%d reason=%s", entry.index, error.message)
        return None


def _tell(listeners: Sequence[Listener], taken: Sequence[Taken]) -> None:
    for listener in listeners:
        listener(taken)

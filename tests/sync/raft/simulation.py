"""A swarm of replicas in simulated time: everything that goes wrong comes from one seed, and so does the outcome.

Messages are lost, doubled and overtaken; links are cut with and without notice, in one direction or both; nodes stand
still; power fails in the middle of any write. After every step the promises are held against what all nodes have done.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence

import msgspec

from hiveminddb.errors import HiveMindError, NoQuorum, StorageError
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import Acknowledge, AskVote, Vote, decode
from hiveminddb.sync.raft.replica import Committed, Replica, finish, unfinished
from hiveminddb.sync.raft.requests import Kind, Outcome, Ticket
from tests.sync.raft.power import Disk, PowerLost

POOL = tuple(map(NodeId, "abcde"))

# Simulated seconds for a healed swarm to decide again.
RECOVERY = 60.0


class Violation(AssertionError):
    """A promise was broken."""


class SlowMachine:
    """What it applied becomes durable only now and then; a crash takes it back to there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.entries: list[tuple[int, int, bytes]] = []
        self.durable = 0

    def deliver(self, entries: Sequence[Committed]) -> None:
        for entry in entries:
            if entry.index != len(self.entries) + 1:
                raise Violation(f"entry {entry.index} delivered after {len(self.entries)}")
            self.entries.append((entry.index, entry.term, entry.command))
            self._world.decided(entry)

    def flush(self) -> None:
        self.durable = len(self.entries)

    def crash(self) -> None:
        del self.entries[self.durable :]

    def state(self) -> bytes:
        return msgspec.msgpack.encode(self.entries[: self.durable])

    def install(self, index: int, state: bytes) -> None:
        self.entries = msgspec.msgpack.decode(state, type=list[tuple[int, int, bytes]])
        if len(self.entries) != index:
            raise Violation(f"a snapshot of {len(self.entries)} entries said to be after {index}")
        for entry in self.entries:
            self._world.decided(Committed(*entry))
        self.flush()


class Node:
    def __init__(self, world: World, name: NodeId, voters: frozenset[NodeId]) -> None:
        self.world, self.name, self.voters = world, name, voters
        self.disk = Disk(world.chance)
        self.machine = SlowMachine(world)
        self.replica: Replica | None = None
        self.frozen_until = 0.0
        self._wake_at = float("inf")

    def start(self) -> None:
        snapshot = unfinished(self.disk, self.voters)
        if snapshot is not None:
            self.machine.install(snapshot.base.index, snapshot.state)
            finish(self.disk, self.voters, snapshot)
        world = self.world
        applied, machine = self.machine.durable, self.machine
        self.replica = Replica(
            self.name, self.disk, self.voters, applied, self._send, machine.deliver, lambda: world.time, world.chance
        )
        for peer in world.neighbours(self.name):
            self.replica.peer_up(peer)
        self.wake(0.0)

    def _send(self, peer: NodeId, payload: bytes) -> bool:
        message = decode(payload)
        promise = isinstance(message, AskVote | Vote) or (isinstance(message, Acknowledge) and message.accepted)
        if promise and not self.disk.clean:
            raise Violation(f"{self.name} says {message} before it is on disk")
        return self.world.carry(self.name, peer, payload)

    def wake(self, pause: float) -> None:
        at = max(self.world.time + pause, self.frozen_until)
        if at < self._wake_at:
            self._wake_at = at
            self.world.at(at, self._turn)

    def _turn(self) -> None:
        if self.world.time < self._wake_at:
            return
        self._wake_at = float("inf")
        if self.world.time < self.frozen_until:
            self.wake(0.0)
        elif self.replica is not None:
            try:
                self._step(self.replica)
            except PowerLost:
                self.crash()
            except StorageError as error:
                raise Violation(f"{self.name} stops: {error}") from error

    def _step(self, replica: Replica) -> None:
        replica.step()
        if replica.installing is not None and self.world.chance.random() < 0.7:
            self.machine.install(replica.installing.base.index, replica.installing.state)
            replica.installed()
        if replica.snapshot_wanted:
            replica.offer(self.machine.durable, self.machine.state())
        if self.world.chance.random() < 0.2:
            self.machine.flush()
        replica.compact(self.machine.durable, most_entries=15)
        self.world.check(replica)
        pause = 0.0005 if replica.busy or replica.installing else max(0.0005, replica.next_due() - self.world.time)
        if pause < float("inf"):
            self.wake(pause)

    def crash(self) -> None:
        self.replica = None
        self.disk.power_cut(kernel_survives=self.world.chance.random() < 0.4)
        self.machine.crash()
        self.world.went_away(self.name)


class World:
    def __init__(self, seed: int, size: int) -> None:
        self.chance = random.Random(seed)
        self.time = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.order: dict[int, tuple[int, bytes]] = {}
        self._leaders: dict[int, NodeId] = {}
        self._promised: dict[bytes, int] = {}
        self._refused: set[bytes] = set()
        self.outcomes: dict[str, int] = {}
        self._cut: set[tuple[NodeId, NodeId]] = set()
        self.loss = self.doubles = self.full = 0.0
        self.delay = 0.003
        self._ask_at = 0.0
        voters = frozenset(POOL[:size])
        self.nodes = {name: Node(self, name, voters) for name in POOL}
        for node in self.nodes.values():
            node.start()

    # Time and messages.

    def at(self, time: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        end = self.time + seconds
        while self._events and self._events[0][0] <= end:
            self.time, _, event = heapq.heappop(self._events)
            event()
            if until():
                return True
        self.time = end
        return until()

    def neighbours(self, name: NodeId) -> list[NodeId]:
        return [
            peer
            for peer, node in self.nodes.items()
            if peer != name and node.replica and not {(name, peer), (peer, name)} & self._cut
        ]

    def carry(self, source: NodeId, target: NodeId, payload: bytes) -> bool:
        if self.nodes[target].replica is None or self.chance.random() < self.full:
            return False
        if (source, target) not in self._cut and self.chance.random() >= self.loss:
            for copy in range(2 if self.chance.random() < self.doubles else 1):
                # A second copy may come when all it says is long over.
                delay = self.chance.expovariate(1 / self.delay) * (1 + copy * self.chance.uniform(0, 50))
                self.at(self.time + delay, lambda: self._arrive(source, target, payload))
        return True

    def _arrive(self, source: NodeId, target: NodeId, payload: bytes) -> None:
        node = self.nodes[target]
        if node.replica is not None and (source, target) not in self._cut:
            node.replica.received(source, payload)
            node.wake(0.0001)

    # Faults.

    def went_away(self, name: NodeId) -> None:
        for peer in self.nodes.values():
            if peer.replica is not None and peer.name != name:
                peer.replica.peer_down(name)
                peer.wake(0.001)

    def came_back(self, name: NodeId) -> None:
        try:
            self.nodes[name].start()
        except PowerLost:
            self.nodes[name].crash()
            return
        for peer in self.neighbours(name):
            self._tell(peer, name, up=True)

    def cut(self, source: NodeId, target: NodeId, notice: bool) -> None:
        self._cut.add((source, target))
        if notice:
            self._tell(source, target, up=False)
            self._tell(target, source, up=False)

    def _tell(self, name: NodeId, peer: NodeId, up: bool) -> None:
        node = self.nodes[name]
        if node.replica is not None:
            (node.replica.peer_up if up else node.replica.peer_down)(peer)
            node.wake(0.0001)

    def mend(self) -> None:
        cut, self._cut = self._cut, set()
        for source, target in sorted(cut):
            if self.nodes[source].replica and self.nodes[target].replica:
                self._tell(source, target, up=True)
                self._tell(target, source, up=True)

    def fault(self) -> None:
        """Something goes wrong, or is mended."""
        name, other = self.chance.sample(POOL, 2)
        if self.nodes[name].replica is None and self.chance.random() < 0.4:
            self.came_back(name)
            return
        faults: list[Callable[[NodeId, NodeId], None]] = [
            *[self._kill] * 4,
            *[self._cut_power] * 2,
            *[self._split] * 2,
            *[self._one_way] * 2,
            *[self._mend] * 3,
            *[self._freeze] * 2,
            *[self._weather] * 4,
            self._blackout,
        ]
        self.chance.choice(faults)(name, other)

    def _kill(self, name: NodeId, other: NodeId) -> None:
        self.nodes[name].crash()

    def _cut_power(self, name: NodeId, other: NodeId) -> None:
        self.nodes[name].disk.cuts = self.chance.randint(0, 6)

    def _split(self, name: NodeId, other: NodeId) -> None:
        self.cut(name, other, notice=self.chance.random() < 0.5)
        self.cut(other, name, notice=self.chance.random() < 0.5)

    def _one_way(self, name: NodeId, other: NodeId) -> None:
        self.cut(name, other, notice=False)

    def _mend(self, name: NodeId, other: NodeId) -> None:
        self.mend()

    def _freeze(self, name: NodeId, other: NodeId) -> None:
        self.nodes[name].frozen_until = self.time + self.chance.uniform(0.1, 4)

    def _weather(self, name: NodeId, other: NodeId) -> None:
        self.loss = self.chance.choice([0, 0, 0.02, 0.2])
        self.doubles = self.chance.choice([0, 0.02, 0.2])
        self.full = self.chance.choice([0, 0, 0.1])
        self.delay = self.chance.choice([0.001, 0.01, 0.1])

    def _blackout(self, name: NodeId, other: NodeId) -> None:
        for node in self.nodes.values():
            node.crash()

    # Wishes.

    def ask(self, name: NodeId, kind: Kind, body: bytes, seconds: float) -> None:
        replica = self.nodes[name].replica
        if replica is None:
            return

        def done(outcome: Outcome) -> None:
            if kind == Kind.PROPOSE:
                self._answered(body, outcome)

        replica.submit(Ticket(kind, body, self.time + seconds, done))
        self.nodes[name].wake(0.0)

    def _answered(self, body: bytes, outcome: Outcome) -> None:
        said = "committed" if isinstance(outcome, int) else type(outcome).__name__
        self.outcomes[said] = self.outcomes.get(said, 0) + 1
        if isinstance(outcome, int):
            self._promised[body] = outcome
            if self.order.get(outcome, (0, body))[1] != body:
                raise Violation(f"{body!r} was promised to be entry {outcome}, which is {self.order[outcome]}")
        elif isinstance(outcome, NoQuorum):
            self._refused.add(body)
            if any(command == body for _, command in self.order.values()):
                raise Violation(f"{body!r} is decided, and was said not to be proposed")
        else:
            assert isinstance(outcome, HiveMindError)

    def barrier(self, name: NodeId) -> None:
        """A read point must not be before anything that was promised when it was asked for."""
        replica = self.nodes[name].replica
        if replica is None:
            return
        before = max(self._promised.values(), default=0)

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, int) and outcome < before:
                raise Violation(f"a read at {outcome} after {before} was promised")

        replica.submit(Ticket(Kind.BARRIER, b"", self.time + 2, done))
        self.nodes[name].wake(0.0)

    # Promises.

    def decided(self, entry: Committed) -> None:
        known = self.order.setdefault(entry.index, (entry.term, entry.command))
        if known != (entry.term, entry.command):
            raise Violation(f"entry {entry.index} is {known} on one node and {entry} on another")
        if entry.command in self._refused:
            raise Violation(f"{entry.command!r} is decided, and was said not to be proposed")

    def check(self, replica: Replica) -> None:
        if not replica.voter.leading:
            return
        term, me = replica.voter.engine.term, replica.voter.me
        if self._leaders.setdefault(term, me) != me:
            raise Violation(f"{self._leaders[term]} and {me} lead in term {term}")
        self._check_voters(replica)

    def _check_voters(self, replica: Replica) -> None:
        history = replica.voter.configuration.history
        if replica.voter.me not in history[-1][1]:
            raise Violation(f"{replica.voter.me} leads and does not vote")
        open_changes = [index for index, _ in history[1:] if index > replica.voter.engine.commit]
        own = open_changes and replica.voter.journal.term_at(open_changes[-1]) == replica.voter.engine.term
        if own and len(open_changes) > 1:
            raise Violation(f"two changes of voters at once: {history}")
        for (_, before), (_, after) in zip(history, history[1:], strict=False):
            if len(before ^ after) != 1:
                raise Violation(f"more than one voter changed: {history}")

    def check_end(self) -> None:
        """All is mended: the swarm decides again, and every promise stands on every voter."""
        self.loss = self.doubles = self.full = 0.0
        self.delay = 0.003
        self.mend()
        for node in self.nodes.values():
            node.disk.cuts = None
            node.frozen_until = 0.0
            if node.replica is None:
                self.came_back(node.name)
            node.wake(0.0)
        for source in POOL:
            for target in POOL:
                if source != target:
                    self._tell(source, target, up=True)
        if not self.run(RECOVERY, self._agreed):
            raise Violation(f"no agreement {RECOVERY} s after all was mended: {self._views()}")
        for body, index in self._promised.items():
            if self.order[index][1] != body:
                raise Violation(f"{body!r} was promised at {index}, which is {self.order[index]}")

    def _agreed(self) -> bool:
        end = max((index for body, index in self._promised.items() if body.startswith(b"last")), default=0)
        if not end:
            if self.time > self._ask_at:
                self._ask_at = self.time + 0.3
                self.ask(self.chance.choice(POOL), Kind.PROPOSE, b"last %d" % self._count, 5.0)
            return False
        leader = next((n.replica for n in self.nodes.values() if n.replica and n.replica.voter.leading), None)
        if leader is None:
            return False
        voters = [self.nodes[name] for name in leader.voter.configuration.voters]
        return all(len(node.machine.entries) >= end for node in voters)

    def _views(self) -> list[object]:
        return [
            (
                n.name,
                n.replica
                and (
                    n.replica.role,
                    n.replica.voter.leader,
                    n.replica.voter.engine.term,
                    n.replica.voter.engine.commit,
                ),
            )
            for n in self.nodes.values()
        ]


def simulate(seed: int, seconds: float = 12.0) -> World:
    """One schedule; raises Violation."""
    chance = random.Random(-seed)
    world = World(seed, size=chance.choice([1, 3, 3, 4, 5]))
    calm = chance.choice([0.85, 0.95, 0.99])
    count = 0
    while world.time < seconds:
        world.run(chance.expovariate(20))
        draw = chance.random()
        name = chance.choice(POOL)
        if draw < 0.7:
            count += 1
            body = b"%d:" % count + bytes(chance.choice([5, 50, 2000]))
            world.ask(name, Kind.PROPOSE, body, chance.choice([0.3, 1, 3]))
        elif draw < 0.8:
            world.barrier(name)
        elif draw < 0.84:
            world.ask(name, chance.choice([Kind.ADD, Kind.REMOVE]), chance.choice(POOL).encode(), 4.0)
        elif draw < 0.85:
            replica = world.nodes[name].replica
            peer = chance.choice(POOL)
            if replica and replica.voter.leading and peer in (replica.voter.voters & replica.voter.connected) - {name}:
                replica.hand_over(peer)
        elif draw < calm:
            world.run(0.05)
        else:
            world.fault()
    world.check_end()
    return world

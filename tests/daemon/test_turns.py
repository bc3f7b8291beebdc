"""One node decides alone and then with others, again and again: whoever takes the steps has its order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.daemon.swarm import commands, machine_state
from hiveminddb.daemon.swarm.commands import Changes, Command, DecideAlone, Order
from hiveminddb.model import NodeId
from hiveminddb.store import changes, commits, machine
from hiveminddb.store.commits import Base
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.antientropy import sent
from tests.daemon.stepping import NODES, change, node, take


@dataclass
class Leader:
    """A voter, at times the only one: what it knows, and the steps that it has had decided."""

    tx: Transaction
    chance: random.Random
    log: list[Command] = field(default_factory=list)
    ceded: Base | None = None

    def step(self, command: Command) -> None:
        self.log.append(command)
        take(self.tx, [(len(self.log), command)])

    def write(self) -> None:
        """A change, its own or one that came from elsewhere."""
        origin = self.chance.choice(NODES)
        self.tx.append_change(change(origin, self.tx.next_counter(origin)))

    def propose(self) -> None:
        """Changes to be ordered, some of which do not follow those before; proposals come late as well."""
        origin, count = self.chance.choice(NODES), self.chance.randint(1, 4)
        first = self.tx.order.ordered.get(NodeId(origin), 0) + self.chance.randint(0, 3) or 1
        if self.chance.random() < 0.5 and self.tx.next_counter(origin) >= first:
            carried = [sent(change(origin, counter)) for counter in range(first, first + count)]
            self.step(Changes(self.id(), carried))
        else:
            known = self.tx.next_counter(origin) - first
            if known > 0:
                self.step(Order(self.id(), origin, first, min(count, known)))

    def alone(self) -> None:
        if self.tx.order.alone:
            self.together()
        self.step(DecideAlone(self.id()))
        self.tx.decide_alone()

    def cede(self) -> None:
        if self.tx.order.alone and self.ceded is None:
            self.ceded = self.tx.cede()

    def together(self) -> None:
        self.cede()
        if self.ceded:
            self.step(commands.together(self.ceded))
            self.ceded = None

    def id(self) -> bytes:
        return (len(self.log) + 1).to_bytes(16)


@dataclass
class Follower:
    """A node that is told states and positions, and at last takes the steps itself."""

    tx: Transaction
    leader: Leader
    # Whose state it takes over: the leader's, or another follower's.
    teacher: Transaction

    @property
    def at(self) -> int:
        return machine.progress(self.tx.connection).step

    def learn(self) -> None:
        state = machine_state.read(self.teacher.connection)
        if self.at < state.progress.step:
            machine_state.write(self.tx, machine_state.decode(machine_state.encode(state)), state.progress.step, 1)

    def hear(self, extend: bool = True) -> None:
        self.tx.order.put(commits.runs_after(self.leader.tx.connection, self.tx.order.known, 99), extend)

    def take(self) -> None:
        steps = list(enumerate(self.leader.log, 1))[self.at :]
        take(self.tx, steps[: self.leader.chance.randint(1, 4)])


DEEDS = ("write", "write", "propose", "propose", "propose", "alone", "cede", "together", "learn", "hear", "take")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(DEEDS), min_size=30, max_size=90), st.integers(0, 1 << 32))
def test_who_learns_or_takes_the_steps_has_the_order_of_who_decided_alone(deeds: list[str], seed: int) -> None:
    with node() as one, node() as two, node() as three:
        leader = Leader(one, random.Random(seed))
        followers = Follower(two, leader, one), Follower(three, leader, two)
        for deed in deeds:
            getattr(leader if hasattr(leader, deed) else leader.chance.choice(followers), deed)()
        leader.together()
        for follower in followers:
            while follower.at < len(leader.log):
                follower.take()
            assert follower.tx.order.stepped == (one.order.seq, one.order.ordered)
            follower.hear(extend=False)
            assert commits.runs_after(follower.tx.connection, 0, 99) == commits.runs_after(one.connection, 0, 99)
        known = changes.version_vector(one.connection)
        assert all(known[NodeId(origin)] >= counter for origin, counter in one.order.ordered.items())

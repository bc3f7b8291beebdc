"""Replicas played by hand: time stands still unless moved, messages lie in a tray until they are carried."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import Acknowledge, AskVote, Message, Probe, Probed, Vote, decode, encode
from hiveminddb.sync.raft.replica import Committed, Replica, finish, unfinished
from hiveminddb.sync.raft.requests import Kind, Outcome, Ticket
from tests.sync.raft.power import Disk

Sent = tuple[str, str, Message]


class Stage:
    """`voters` is the first configuration of all `names`; links between all are up."""

    def __init__(self, voters: str, names: str = "", seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.voters = frozenset(map(NodeId, voters))
        self.time = 100.0
        self.tray: list[Sent] = []
        self.disks: dict[str, Disk] = {}
        self.delivered: dict[str, list[Committed]] = {}
        self.applied: dict[str, int] = {}
        self.replicas: dict[str, Replica] = {}
        for name in names or voters:
            self.disks[name] = Disk(self.chance)
            self.delivered[name], self.applied[name] = [], 0
            self.start(name)

    def start(self, name: str) -> Replica:
        disk = self.disks[name]

        def send(peer: NodeId, payload: bytes) -> bool:
            message = decode(payload)
            if isinstance(message, AskVote | Vote) or (isinstance(message, Acknowledge) and message.accepted):
                assert disk.clean, f"{message} leaves before it is on disk"
            self.tray.append((name, peer, message))
            return True

        def deliver(entries: Sequence[Committed]) -> None:
            self.delivered[name] += entries
            self.applied[name] = entries[-1].index

        snapshot = unfinished(disk, self.voters)
        if snapshot is not None:
            self.applied[name] = snapshot.base.index
            finish(disk, self.voters, snapshot)
        applied = self.applied[name]
        me = NodeId(name)
        replica = Replica(me, disk, self.voters, applied, send, deliver, lambda: self.time, self.chance)
        self.replicas[name] = replica
        for peer in self.voters - {name}:
            replica.peer_up(peer)
        return replica

    def power_cut(self, name: str) -> Replica:
        """Nothing that was not synced is left; the node starts again."""
        self.disks[name].power_cut(kernel_survives=False)
        return self.start(name)

    def tell(self, name: str, peer: str, *messages: Message) -> list[Message]:
        """What the node says in the step that hears these."""
        before = len(self.tray)
        for message in messages:
            self.replicas[name].received(NodeId(peer), encode(message))
        self.replicas[name].step()
        said = [message for source, _, message in self.tray[before:] if source == name]
        del self.tray[before:]
        return said

    def carry(self, rounds: int = 1000, without: str = "") -> int:
        """Carries messages until nothing is left to say, nor a moment later; how many rounds it took."""
        count = self.carry_now(rounds, without)
        self.time += 0.002
        return count + self.carry_now(rounds, without)

    def carry_now(self, rounds: int = 1000, without: str = "") -> int:
        """The same, at no cost of time."""
        for count in range(rounds):
            for name, replica in self.replicas.items():
                if name not in without:
                    replica.step()
            tray, self.tray = self.tray, []
            moving = [sent for sent in tray if sent[0] not in without and sent[1] not in without]
            if not moving and not any(replica.busy for name, replica in self.replicas.items() if name not in without):
                return count
            for source, target, message in moving:
                if target in self.replicas:
                    self.replicas[target].received(NodeId(source), encode(message))
        raise AssertionError(f"still talking after {rounds} rounds")

    def elect(self, name: str, without: str = "") -> Replica:
        """`name` finds no leader and becomes it."""
        self.time += 10
        replica = self.replicas[name]
        replica.voter.election.due = self.time
        self.carry(without=without)
        assert replica.voter.leading, f"{name} is {replica.role}"
        return replica

    def propose(self, name: str, *commands: bytes, seconds: float = 5.0) -> list[Outcome]:
        """Outcomes come into the list that is returned, once they are known."""
        return self.ask(name, Kind.PROPOSE, *commands, seconds=seconds)

    def ask(self, name: str, kind: Kind, *bodies: bytes, seconds: float = 5.0) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for body in bodies:
            self.replicas[name].submit(Ticket(kind, body, self.time + seconds, outcomes.append))
        return outcomes

    def commands(self, name: str) -> list[bytes]:
        return [entry.command for entry in self.delivered[name] if entry.command]


def candidate(stage: Stage, name: str) -> int:
    """A candidate in its first term, which has asked for votes and got none yet."""
    replica = stage.replicas[name]
    stage.time += 10
    replica.voter.election.due = stage.time
    probes = [message for message in stage.tell(name, "b") if isinstance(message, Probe)]
    for peer in "bcd"[: len(stage.voters) // 2]:
        stage.tell(name, peer, Probed(probes[0].round, 0, True))
    assert replica.role == "candidate"
    return replica.voter.engine.term

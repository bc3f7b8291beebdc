"""The hands on every machine: those of the single vault's torture, on one node of a swarm, and some that need one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.hands.appender import Appender
from bench.hands.brancher import Brancher
from bench.hands.caller import Caller
from bench.hands.hand import Hand
from bench.hands.keeper import Keeper
from bench.hands.ledger import Ledger, Turns, tokens_in
from bench.hands.person import Person
from bench.hands.roamer import Roamer
from bench.hands.world import Down, Refused, World
from bench.lab.machine import Machine, Refusal
from bench.lab.swarm import consensus_of

SHARED = [f"shared-{n}" for n in range(4)]
FORGOTTEN = ["now-and-then-0", "now-and-then-1"]
TAGGED = "tagged"
RESTS = (0.02, 0.1, 0.2, 0.5)
# An answer that says nothing about whether it was done, or that it cannot be done now.
TEMPORARY = (503, 507)


@dataclass(frozen=True, slots=True)
class MachineWorld(World):
    """One machine, seen by the hands on it."""

    machine: Machine = field(kw_only=True)

    def page(self, method: str, path: str, body: object = None) -> tuple[Any, str]:
        """As World's; what may be tried again later counts as no answer."""
        try:
            return self.machine.page(method, path, body)
        except Refusal as refusal:
            if refusal.status in TEMPORARY:
                raise Down(str(refusal)) from refusal
            raise


def world_of(machine: Machine, ledger: Ledger, stop: threading.Event) -> MachineWorld:
    """The world of one machine; all share a ledger."""
    outside = machine.folder / "outside"
    outside.mkdir()
    turns = {topic: Turns() for topic in (*SHARED, *FORGOTTEN)}
    return MachineWorld(machine.vault, machine.data, outside, ledger, stop, turns, RESTS, machine=machine)


@dataclass(frozen=True, slots=True)
class Commit:
    """A write whose answer said that it has its place in the order."""

    document: str
    seq: int
    machine: str
    consensus: str


class SwarmCaller(Caller):
    """A caller who also says what answer will do. No headings inside texts: two nodes may both cut there."""

    def __init__(self, world: World, chance: random.Random, commits: list[Commit]) -> None:
        super().__init__(world, chance, [*SHARED, *FORGOTTEN], FORGOTTEN)
        self._commits = commits

    def _content(self) -> str:
        return self.text()

    def _sent(self, body: object, path: str, contents: list[str]) -> None:
        assert isinstance(self.world, MachineWorld)
        machine, ack = self.world.machine, self.chance.choice(["local", "local", "auto", "quorum"])
        consensus = "" if ack == "local" else consensus_of(machine)
        tokens = [token for content in contents for token in tokens_in(content)]
        try:
            answer = self.world.ask("POST", f"{path}?ack={ack}", body)
        except Down:
            self.world.ledger.unsure(tokens)
            raise
        # The answer may come long after others have seen the memory, and after one has removed it.
        removed = self.world.ledger.removed.intersection(tokens)
        for memory in answer.get("memories") or [answer]:
            self.world.ledger.acknowledged(memory["id"], memory["topic"], memory["content"])
            self._own.append(memory["id"])
        self.world.ledger.remove(removed)
        self.world.ledger.did(f"add ack={ack} {answer['status']}", "api", tokens)
        if consensus and answer.get("seq") is not None and "id" in answer and consensus_of(machine) == consensus:
            self._commits.append(Commit(answer["id"], answer["seq"], machine.name, consensus))


class SwarmAppender(Appender):
    """Removes a file by moving it out: whatever was in it at that moment can be looked at."""

    def _forget(self) -> None:
        topic = self.chance.choice(self._forgets)
        if self.chance.random() < 0.7:
            return
        away = self.world.outside / f"removed-{self.world.ledger.token()}"
        with self.world.turns[topic].alone():
            try:
                self._server.path(topic).rename(away)
            except FileNotFoundError:
                return
            gone = tokens_in(away.read_bytes().decode())
            self.world.ledger.remove_from_file(gone)
            self.world.turns[topic].saves += 1
        self.world.ledger.did("file removed", topic, went=gone)


class Tagger(Hand):
    """Gives tags to memories that the others tag as well; a tag is never taken away, so none may be missing."""

    def __init__(
        self, world: World, chance: random.Random, memories: Sequence[str], given: dict[str, set[str]]
    ) -> None:
        super().__init__(world, chance)
        self._memories, self._given = memories, given

    def work(self) -> None:
        self.run(self._tag)

    def _tag(self) -> None:
        id, tag = self.chance.choice(self._memories), self.world.ledger.token()
        memory = self.world.ask("GET", f"/memories/{id}")
        try:
            self.world.ask("PATCH", f"/memories/{id}", {"tags": [*memory["tags"], tag], "version": memory["version"]})
        except Refused:
            return
        self._given.setdefault(id, set()).add(tag)
        self.world.ledger.did("tag")


@dataclass(slots=True)
class Crew:
    """All hands of all machines, and what they know of each other."""

    worlds: Sequence[MachineWorld]
    hands: list[Caller | Appender | Person | Roamer | Keeper | Brancher | Tagger] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, set[str]] = field(default_factory=dict)

    def engage(self, chance: random.Random) -> None:
        """One of each on every machine; the topics are there before they come."""
        tagged = self._begin()
        for number, world in enumerate(self.worlds):

            def own() -> random.Random:
                return random.Random(chance.random())

            self.hands += [
                SwarmCaller(world, own(), self.commits),
                SwarmCaller(world, own(), self.commits),
                SwarmAppender(world, own(), [*SHARED, *FORGOTTEN], FORGOTTEN),
                Person(world, own(), SHARED),
                Roamer(world, own()),
                Keeper(world, own(), f"{world.machine.name}-ann"),
                Tagger(world, own(), tagged, self.tags),
                *([Brancher(world, own())] if number == 0 else []),
            ]

    def _begin(self) -> list[str]:
        """What is in a file when it is first seen was there for whoever saves it next."""
        first = self.worlds[0]
        for topic in SHARED:
            first.ask("POST", "/memories", {"topic": topic, "content": "the first"})
        tagged = [first.ask("POST", "/memories", {"topic": TAGGED, "content": f"tagged {n}"})["id"] for n in range(4)]
        end = time.monotonic() + 60
        while not all(self._knows_all(world, tagged) for world in self.worlds):
            if time.monotonic() > end:
                raise RuntimeError("the first memories did not reach every node within a minute")
            time.sleep(0.05)
        return tagged

    @staticmethod
    def _knows_all(world: MachineWorld, ids: Sequence[str]) -> bool:
        try:
            return all(world.ask("GET", f"/memories/{id}") for id in ids) and all(
                (world.vault / f"{topic}.md").exists() for topic in (*SHARED, TAGGED)
            )
        except Refused:
            return False

    def finish(self) -> dict[str, bytes]:
        """Every file whose bytes are known, by its path in each vault."""
        owners = [hand for hand in self.hands if isinstance(hand, (Keeper, Brancher))]
        return {name: data for owner in owners for name, data in owner.finish().items()}


def memories_of(world: World) -> Iterator[Mapping[str, Any]]:
    """Every memory a node has, invalidated ones too."""
    following = ""
    while True:
        page, cursor = world.page("GET", f"/memories?limit=100&include_invalidated=true{following}")
        yield from page
        if not cursor:
            return
        following = f"&cursor={cursor}"

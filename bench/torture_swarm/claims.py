"""Clients of what only consensus decides, and the proof that it never decided two ways.

Times are of one clock, the torture's own: an operation took place between its begin and its end.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.hands.ledger import Ledger
from bench.hands.world import Down, Refused
from bench.lab.machine import Machine, Refusal
from bench.lab.swarm import Claims, consensus_of

LEASES = ("printer", "deploy", "stage")
REGISTERS = ("config", "counter")
TTL = 2.0
NOW = time.monotonic


@dataclass(slots=True)
class Held:
    """A lease as its holder knows it: certainly its own from `since` until `until`."""

    key: str
    holder: str
    token: int
    asked: float
    since: float
    until: float
    consensus: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A register's value as an operation left or found it; `is_write`: this operation made that version."""

    key: str
    version: int
    value: str
    asked: float
    answered: float
    is_write: bool
    where: str
    consensus: str


@dataclass(slots=True)
class Claimants:
    """What all clients did. Each list is appended to by many threads, and read when they have ended."""

    stop: threading.Event
    ledger: Ledger
    held: list[Held] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def lessee(self, machine: Machine, chance: random.Random, name: str) -> None:
        """Takes leases, renews them a few times, gives them back or forgets them."""
        self._run(chance, lambda: self._lease(Claims(machine), chance, f"{machine.name}/{name}"))

    def register_client(self, machine: Machine, chance: random.Random, name: str) -> None:
        """Reads registers, and sets them to what nobody else writes."""
        counter = iter(range(10**9))
        self._run(chance, lambda: self._register(Claims(machine), chance, f"{machine.name}/{name}/{next(counter)}"))

    def reader(self, machines: Sequence[Machine], chance: random.Random, name: str) -> None:
        """Adds a memory here with the whole swarm's word, and must then find it there."""
        self._run(chance, lambda: self._read(chance.sample(list(machines), min(2, len(machines))), name))

    def _run(self, chance: random.Random, work: Callable[[], None]) -> None:
        while not self.stop.is_set():
            try:
                work()
            except (Down, Refused):
                self.ledger.did("claim not decided")
            self.stop.wait(chance.choice([0.02, 0.1, 0.3, 0.6]))

    def _lease(self, claims: Claims, chance: random.Random, holder: str) -> None:
        key, consensus, asked = chance.choice(LEASES), consensus_of(claims.machine), NOW()
        try:
            token = claims.lease(key, holder, TTL)
        except Refusal as refusal:
            if refusal.status == 409:
                self.ledger.did("lease taken already")
                return
            raise
        mine = Held(key, holder, token, asked, NOW(), asked + TTL, consensus)
        if consensus_of(claims.machine) != consensus:
            return
        self.held.append(mine)
        self.ledger.did("lease")
        for _ in range(chance.randint(0, 4)):
            self.stop.wait(chance.uniform(0.1, TTL * 0.7))
            asked = NOW()
            claims.renew(key, token)
            if consensus_of(claims.machine) != consensus:
                return
            mine.until = asked + TTL
            self.ledger.did("renew")
        if chance.random() < 0.7:
            mine.until = min(mine.until, NOW())
            claims.release(key, token)
            self.ledger.did("release")

    def _register(self, claims: Claims, chance: random.Random, value: str) -> None:
        machine = claims.machine
        key, consensus, asked = chance.choice(REGISTERS), consensus_of(machine), NOW()
        version, old = claims.register(key)
        read = Seen(key, version, old, asked, NOW(), False, machine.name, consensus)
        if consensus_of(machine) != consensus:
            return
        if version:
            self.seen.append(read)
        self.ledger.did("register read")
        if chance.random() < 0.5:
            return
        asked = NOW()
        try:
            made = claims.set_register(key, value, version)
        except Refusal as refusal:
            if refusal.status == 409:
                self.ledger.did("register conflict")
                return
            raise
        written = Seen(key, made, value, asked, NOW(), True, machine.name, consensus)
        if consensus_of(machine) == consensus:
            self.seen.append(written)
            self.ledger.did("register set")

    def _read(self, machines: Sequence[Machine], name: str) -> None:
        here, there = machines[0], machines[-1]
        consensus = consensus_of(here)
        if consensus_of(there) != consensus:
            return
        text = f"read by all {self.ledger.token()} {name}"
        made = here.ask("POST", "/memories?ack=quorum", {"content": text, "topic": "read-by-all"})
        self.ledger.acknowledged(made["id"], made["topic"], text)
        if made["status"] != "committed":
            self.ledger.problem(f"ack=quorum was answered {made['status']}: {made['id']}")
            return
        try:
            found = there.ask("GET", f"/memories/{made['id']}?consistency=linearizable")
        except Refusal as refusal:
            if refusal.status == 404:
                if all(consensus_of(each) == consensus for each in (here, there)):
                    self.ledger.problem(f"stale: {made['id']} of {here.name} is not on {there.name}: {refusal}")
                return
            raise
        self.ledger.did("linearizable read")
        if found["content"] != text:
            self.ledger.problem(f"stale: {made['id']} reads {found['content']!r} on {there.name}")


def decided_twice(claimants: Claimants) -> Iterator[str]:
    """Everything that one consensus cannot have decided."""
    for consensus in {it.consensus for it in claimants.held} | {it.consensus for it in claimants.seen}:
        yield from _two_holders([it for it in claimants.held if it.consensus == consensus])
        seen = [it for it in claimants.seen if it.consensus == consensus]
        for key in REGISTERS:
            yield from _out_of_line([it for it in seen if it.key == key])


def _two_holders(held: Sequence[Held]) -> Iterator[str]:
    holders: dict[int, set[str]] = defaultdict(set)
    for lease in held:
        holders[lease.token].add(f"{lease.key} {lease.holder}")
    yield from (
        f"token {token} was given to {', '.join(sorted(who))}" for token, who in holders.items() if len(who) > 1
    )
    for key in LEASES:
        ordered = sorted((lease for lease in held if lease.key == key), key=lambda lease: lease.token)
        for earlier, later in zip(ordered, ordered[1:], strict=False):
            if later.since < earlier.asked:
                yield f"{key}: token {later.token} was given before token {earlier.token} was asked for"
            # The later one was granted at some time between asking and answer, and the earlier one was held all along.
            if later.holder != earlier.holder and later.asked > earlier.since and later.since < earlier.until:
                yield (
                    f"{key} had two holders: {earlier.holder} with {earlier.token} from {earlier.since:.3f} to"
                    f" {earlier.until:.3f}, {later.holder} with {later.token} from {later.since:.3f}"
                )


def _out_of_line(seen: Sequence[Seen]) -> Iterator[str]:
    """A versioned register is linearizable if a version has one value and no operation sees less than one before it."""
    values: dict[int, Seen] = {}
    writers: dict[int, Seen] = {}
    for each in seen:
        first = values.setdefault(each.version, each)
        if first.value != each.value:
            yield f"{each.key} {each.version} is {first.value!r} on {first.where}, {each.value!r} on {each.where}"
        if each.is_write and writers.setdefault(each.version, each) is not each:
            yield f"{each.key} version {each.version} was made twice: {writers[each.version].where} and {each.where}"
    latest: Seen | None = None
    ended = sorted(seen, key=lambda each: each.answered)
    at = 0
    for each in sorted(seen, key=lambda each: each.asked):
        while at < len(ended) and ended[at].answered < each.asked:
            if latest is None or ended[at].version > latest.version:
                latest = ended[at]
            at += 1
        if latest and each.version < latest.version + (1 if each.is_write else 0):
            yield (
                f"{each.key}: {'set' if each.is_write else 'read'} on {each.where} at {each.asked:.3f} gave version"
                f" {each.version}, but {latest.where} had seen {latest.version} by {latest.answered:.3f}"
            )


def started(claimants: Claimants, machines: Sequence[Machine], chance: random.Random) -> list[threading.Thread]:
    """A lessee, a register client and a reader for every machine."""

    def own() -> random.Random:
        return random.Random(chance.random())

    works: list[tuple[Any, ...]] = []
    for machine in machines:
        works += [(claimants.lessee, machine, own(), "lessee"), (claimants.register_client, machine, own(), "setter")]
        works.append((claimants.reader, machines, own(), machine.name))
    return [threading.Thread(target=work, args=rest) for work, *rest in works]

"""What goes wrong, one thing after the other and some at once: a seed gives the same plan."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.hands.ledger import Ledger
from bench.hands.world import Down, Refused
from bench.lab.lab import Lab
from bench.lab.lan import sides
from bench.lab.machine import Machine
from bench.lab.swarm import leader, remove
from bench.lab.wire import Way
from bench.torture_swarm.belonging import let_in, main_swarm

STEPS = (0.3, 1.0, 2.0, 4.0)
LASTING = (0.5, 1.5, 3.0, 6.0)
CLOCKS = (-7200.0, -30.0, -2.0, 0.0, 0.5, 30.0, 5400.0)
REJOIN_TRIES = 5
# In the end all are there again; whose removal has failed gets its vote back after a minute.
LAST_TRIES = 100

Undo = Callable[[], None]


@dataclass(slots=True)
class Faults:
    """One thread's work; every fault leaves behind how it ends, and is over after `over`."""

    lab: Lab
    ledger: Ledger
    chance: random.Random
    stop: threading.Event
    log: Path
    membership: bool
    # Machines whose daemon is not left alone just now, and what is to be undone when.
    busy: set[str] = field(default_factory=set)
    undo: list[tuple[float, str, Undo]] = field(default_factory=list)
    moves: int = 0
    began: float = field(default_factory=time.monotonic)

    def work(self) -> None:
        faults = self._possible()
        while not self.stop.is_set():
            self.stop.wait(self.chance.choice(STEPS))
            self._undo_due(time.monotonic())
            self._look_after()
            weights = [weight for _, weight in faults]
            fault = self.chance.choices([fault for fault, _ in faults], weights)[0]
            fault()

    def over(self) -> None:
        """Everything is as it should be again, as far as that is in anybody's hands."""
        self._undo_due(float("inf"))
        self.lab.lan.heal()
        for machine in self.lab.machines:
            if machine.clock:
                machine.clock.set(0.0)
            if not machine.runs:
                machine.launch()
        for machine in self.lab.machines:
            machine.ready()
        # Those that nobody could let in while too much was broken.
        said: list[str] = []
        for _ in range(LAST_TRIES if self.membership else 0):
            before, said = said, self._let_in_strays()
            if not before and not said:
                return
            time.sleep(1.0)
        self.ledger.problems += said

    def _possible(self) -> list[tuple[Callable[[], None], float]]:
        several = len(self.lab.machines) > 1
        network: list[tuple[Callable[[], None], float]] = [
            (self._partition, 3), (self._isolate_leader, 2), (self._one_way, 2), (self._disturb, 3),
            (self._heal, 4), (self._move, 1), (self._unplug, 1),
        ]  # fmt: skip
        processes: list[tuple[Callable[[], None], float]] = [
            (self._kill, 4), (self._kill_leader, 2), (self._kill_at_start, 1), (self._pause, 2),
            (self._pause_leader, 1), (self._restart, 1), (self._kill_all, 0.5),
        ]  # fmt: skip
        if all(machine.disk for machine in self.lab.machines):
            processes += [(self._cut_power, 2), (self._fill, 0.7)]
        if all(machine.clock for machine in self.lab.machines):
            processes.append((self._turn_clock, 2))
        if self.membership and several:
            processes.append((self._remove_and_rejoin, 0.7))
        return [*(network if several else []), *processes]

    # -- bookkeeping

    def _say(self, what: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{time.monotonic():.3f} {time.monotonic() - self.began:8.2f} {what}\n")

    def _did(self, what: str, where: str = "") -> None:
        self._say(f"{what} {where}")
        self.ledger.did(f"fault: {what}")

    def _later(self, what: str, undo: Undo) -> None:
        self.undo.append((time.monotonic() + self.chance.choice(LASTING), what, undo))

    def _undo_due(self, now: float) -> None:
        due = [each for each in self.undo if each[0] <= now]
        self.undo = [each for each in self.undo if each[0] > now]
        for _, what, undo in due:
            self._say(what)
            undo()

    def _idle(self) -> Machine | None:
        """A machine whose daemon may be harmed now."""
        idle = [machine for machine in self.lab.machines if machine.name not in self.busy]
        return self.chance.choice(idle) if idle else None

    def _idle_leader(self) -> Machine | None:
        idle = [machine for machine in self.lab.machines if machine.name not in self.busy]
        return leader(idle)

    def _look_after(self) -> None:
        """A daemon that went without being asked is a finding; then it is started again, as a supervisor would."""
        for machine in self.lab.machines:
            if machine.name not in self.busy and not machine.runs:
                code = machine.process.returncode if machine.process else None
                self.ledger.problem(
                    f"the daemon of {machine.name} ended by itself with {code}: {machine.last_words(1500)}"
                )
                machine.launch()

    # -- the network

    def _partition(self) -> None:
        one, other = sides(self.lab.lan.hosts, self.chance)
        self._did("partition", f"{[host.name for host in one]} | {[host.name for host in other]}")
        self.lab.lan.partition(one, other)

    def _isolate_leader(self) -> None:
        if (found := leader(self.lab.machines)) is not None:
            self._did("leader isolated", found.name)
            self.lab.lan.partition([found.host], [host for host in self.lab.lan.hosts if host is not found.host])

    def _one_way(self) -> None:
        host = self.chance.choice(self.lab.lan.hosts)
        others = self.chance.sample(self.lab.lan.hosts, self.chance.randint(1, len(self.lab.lan.hosts)))
        self._did("one-way loss", f"{host.name} -> {[other.name for other in others]}")
        self.lab.lan.silence(host, others)

    def _disturb(self) -> None:
        host = self.chance.choice(self.lab.lan.hosts)
        way = self.chance.choice(
            [Way(loss=0.02), Way(loss=0.2), Way(delay=0.03, jitter=0.1), Way(0.05, 0.005, 0.3), Way(delay=0.4)]
        )
        self._did("delay, loss, reordering", f"{host.name} {way}")
        self.lab.lan.disturb(host, way)

    def _heal(self) -> None:
        self._did("heal")
        self.lab.lan.heal()

    def _move(self) -> None:
        host = self.chance.choice(self.lab.lan.hosts)
        self.moves += 1
        self._did("another address", host.name)
        host.move(f"10.77.0.{20 + self.moves % 200}")

    def _unplug(self) -> None:
        host = self.chance.choice(self.lab.lan.hosts)
        self._did("cable out", host.name)
        host.link(False)
        self._later(f"cable in {host.name}", lambda: host.link(True))

    # -- daemons

    def _down(self, machine: Machine) -> None:
        """Was ended; comes back later."""
        self.busy.add(machine.name)

        def back() -> None:
            machine.launch()
            self.busy.discard(machine.name)

        self._later(f"start {machine.name}", back)

    def _kill(self) -> None:
        if machine := self._idle():
            self._did("kill -9", machine.name)
            machine.kill()
            self._down(machine)

    def _kill_leader(self) -> None:
        if machine := self._idle_leader():
            self._did("leader killed", machine.name)
            machine.kill()
            self._down(machine)

    def _kill_at_start(self) -> None:
        if machine := self._idle():
            self._did("kill -9 while starting", machine.name)
            for _ in range(self.chance.randint(1, 3)):
                machine.kill()
                machine.launch()
                time.sleep(self.chance.uniform(0.0, 1.2))
            machine.kill()
            self._down(machine)

    def _restart(self) -> None:
        if machine := self._idle():
            self._did("restart", machine.name)
            if (code := machine.stop()) not in (0, -signal.SIGTERM):
                self.ledger.problem(
                    f"the daemon of {machine.name} ended with {code} on SIGTERM: {machine.last_words(800)}"
                )
            self._down(machine)

    def _kill_all(self) -> None:
        self._did("kill -9 of all")
        for machine in self.lab.machines:
            if machine.name not in self.busy:
                machine.kill()
                machine.launch()

    def _pause(self, machine: Machine | None = None) -> None:
        if machine := machine or self._idle():
            self._did("SIGSTOP", machine.name)
            machine.pause()
            self.busy.add(machine.name)
            self._later(f"SIGCONT {machine.name}", lambda: self._resumed(machine))

    def _pause_leader(self) -> None:
        if machine := self._idle_leader():
            self._pause(machine)

    def _resumed(self, machine: Machine) -> None:
        machine.resume()
        self.busy.discard(machine.name)

    def _cut_power(self) -> None:
        if machine := self._idle():
            self._did("power cut", machine.name)
            machine.cut_power()
            self._down(machine)

    def _fill(self) -> None:
        machine = self._idle()
        if machine is None or machine.disk is None:
            return
        disk = machine.disk
        self._did("disk full", machine.name)
        self.busy.add(machine.name)
        disk.fill()

        def relieved() -> None:
            disk.relieve()
            # A daemon ends rather than go on without a log of consensus, and may still be busy with that.
            if not machine.answers():
                machine.stop()
                machine.launch()
            self.busy.discard(machine.name)

        self._later(f"room again {machine.name}", relieved)

    def _turn_clock(self) -> None:
        machine, seconds = self.chance.choice(self.lab.machines), self.chance.choice(CLOCKS)
        if machine.clock:
            self._did("clock turned", f"{machine.name} {seconds}")
            machine.clock.set(seconds)

    # -- membership

    def _remove_and_rejoin(self) -> None:
        """A node, often the leader, is put out of the swarm by another and joins it again."""
        # Without a majority nobody is removed.
        self.lab.lan.heal()
        machine = (self._idle_leader() if self.chance.random() < 0.6 else None) or self._idle()
        others = [each for each in self.lab.machines if each is not machine and each.name not in self.busy]
        if machine is None or not others:
            return
        by = self.chance.choice(others)
        try:
            remove(machine, by)
        except (Down, Refused, RuntimeError) as error:
            # It may be put out nevertheless, later.
            self._did("removal that failed", f"{machine.name} by {by.name}: {str(error)[:300]}")
        else:
            self._did("removed from the swarm", f"{machine.name} by {by.name}")
        self.busy.add(machine.name)
        self._later(f"joins again {machine.name}", lambda: self._rejoin(machine))

    def _rejoin(self, machine: Machine) -> None:
        """By a code of whoever can give one, and whoever else is out meanwhile; the network is healed for that."""
        self.lab.lan.heal()
        self.busy.discard(machine.name)
        for _ in range(REJOIN_TRIES):
            time.sleep(0.5)
            if not self._let_in_strays():
                return

    def _let_in_strays(self) -> list[str]:
        """Who was out, each with what became of it: a removal that failed may have put out somebody later."""
        idle = [machine for machine in self.lab.machines if machine.name not in self.busy]
        main = main_swarm(idle)
        if len(main) < min(2, len(self.lab.machines) - 1):
            return ["nobody can decide"]
        said = []
        for machine in idle:
            if machine not in main:
                try:
                    let_in(machine, main[0])
                except (Down, Refused, RuntimeError, ValueError) as error:
                    said.append(f"{machine.name} could not join: {error}")
                else:
                    said.append(f"{machine.name} joined")
                self._say(said[-1][:300])
        return said


def resumed(machines: Sequence[Machine]) -> None:
    """No process of ours stays stopped, whatever happened."""
    for machine in machines:
        machine.resume()

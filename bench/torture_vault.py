"""A vault under torture: everybody writes at once, in every way, while the daemon is killed again and again.

    python -m bench.torture_vault --seed 1 --minutes 5

In the end nothing may be lost, doubled, or changed by nobody. A seed gives the same hands the same intentions; who
comes first is the system's choice.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.running import environment
from bench.torture_check import SHOWN, check
from bench.torture_ledger import Ledger, Turns
from bench.torture_writers import Appender, Brancher, Caller, Down, Keeper, Person, World

READY_SECONDS = 60.0
SHARED = [f"shared-{n}" for n in range(4)]
FORGOTTEN = ["now-and-then-0", "now-and-then-1"]


class Killed:
    """A daemon that does not live long."""

    def __init__(self, world: World, log: Path, chance: random.Random) -> None:
        self._world, self._log, self._chance = world, log, chance
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "hiveminddb.daemon", "--listen", "127.0.0.1:0"]
        command += ["--data-dir", str(self._world.data), "--vault", str(self._world.vault), "--embedding-model", "none"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), cwd=self._log.parent
            )
        end = time.monotonic() + READY_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            try:
                self._world.ask("GET", "/status")
                return
            except Down:
                time.sleep(0.01)
        raise SystemExit(f"the daemon did not start: {self._log.read_text()[-3000:]}")

    def end(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        if self._process.wait(READY_SECONDS) not in (0, -number):
            self._world.ledger.problem(f"the daemon ended with {self._process.returncode} on {number.name}")

    def live(self) -> None:
        """Lives and dies until the end."""
        while not self._world.stop.is_set():
            self._world.stop.wait(self._chance.choice([0.05, 0.3, 1.0, 2.0, 4.0, 9.0]))
            if self._process and self._process.poll() is not None:
                self._world.ledger.problem(f"the daemon ended by itself with {self._process.returncode}")
            else:
                self.end(signal.SIGTERM if self._chance.random() < 0.15 else signal.SIGKILL)
            self._world.ledger.did("daemon killed")
            self._world.stop.wait(self._chance.choice([0.0, 0.0, 0.3, 1.5]))
            self.start()


def torture(folder: Path, seed: int, seconds: float) -> list[str]:
    """What is wrong after so much time."""
    chance = random.Random(seed)
    for name in ("vault", "outside"):
        (folder / name).mkdir()
    turns = {topic: Turns() for topic in (*SHARED, *FORGOTTEN)}
    world = World(folder / "vault", folder / "data", folder / "outside", Ledger(), threading.Event(), turns)
    daemon = Killed(world, folder / "daemon.log", random.Random(chance.random()))
    try:
        return _tortured(world, daemon, chance, seconds) + _logged(folder / "daemon.log")
    finally:
        daemon.end(signal.SIGTERM)


def _tortured(world: World, daemon: Killed, chance: random.Random, seconds: float) -> list[str]:
    daemon.start()
    # What is in a file when it is first seen was there for whoever saves it next.
    for topic in SHARED:
        world.ask("POST", "/memories", {"topic": topic, "content": "the first"})
    while world.ask("GET", "/status")["pending"]["mirror"]:
        time.sleep(0.01)
    hands = _hands(world, chance)
    threads = [threading.Thread(target=work) for work in (*(hand.work for hand in hands), daemon.live)]
    for thread in threads:
        thread.start()
    _told(world, threads, seconds)
    owners = [hand for hand in hands if isinstance(hand, (Keeper, Brancher))]
    exact = {name: data for owner in owners for name, data in owner.finish().items()}
    print("  ".join(f"{what}: {count}" for what, count in sorted(world.ledger.counts.items())), flush=True)
    return check(world, exact, {f"{topic}.md" for topic in world.turns})


def _hands(world: World, chance: random.Random) -> list[Caller | Appender | Person | Keeper | Brancher]:
    def own() -> random.Random:
        return random.Random(chance.random())

    topics = [*SHARED, *FORGOTTEN]
    return [
        *(Caller(world, own(), topics, FORGOTTEN) for _ in range(3)),
        *(Appender(world, own(), topics, FORGOTTEN) for _ in range(3)),
        *(Person(world, own(), SHARED) for _ in range(3)),
        *(Keeper(world, own(), name) for name in ("ann", "bob", "cy")),
        Brancher(world, own()),
    ]


def _told(world: World, threads: list[threading.Thread], seconds: float) -> None:
    """Wait for the end, or for the first hand that drops dead."""
    failures: list[str] = []
    threading.excepthook = lambda args: failures.append(f"{args.exc_type.__name__}: {args.exc_value}")
    end = time.monotonic() + seconds
    while time.monotonic() < end and all(thread.is_alive() for thread in threads):
        time.sleep(0.1)
    world.stop.set()
    for thread in threads:
        thread.join()
    world.ledger.problems += [f"a hand failed: {failure}" for failure in failures]


def _logged(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines()
    return [f"in the log: {line}" for line in lines if "part failed" in line or "level=ERROR" in line]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--keep", action="store_true", help="leave the folder where something is wrong")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hmd-torture-"))
    print(f"seed {options.seed}, {options.minutes} minutes, in {folder}", flush=True)
    found = torture(folder, options.seed, options.minutes * 60)
    for line in found[:SHOWN]:
        print(f"  {line}")
    print(f"seed {options.seed}: {'all is well' if not found else f'{len(found)} things are wrong'}")
    if not (found and options.keep):
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())

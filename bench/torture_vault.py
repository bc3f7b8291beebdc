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
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.hands.appender import Appender
from bench.hands.brancher import Brancher
from bench.hands.caller import Caller
from bench.hands.check import SHOWN, check
from bench.hands.keeper import Keeper
from bench.hands.killed import Killed
from bench.hands.ledger import Ledger, Turns
from bench.hands.person import Person
from bench.hands.world import World

SHARED = [f"shared-{n}" for n in range(4)]
FORGOTTEN = ["now-and-then-0", "now-and-then-1"]


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
        (folder / "journal.txt").write_text("\n".join(world.ledger.journal))


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
    hook = threading.excepthook
    threading.excepthook = lambda args: failures.append(f"{args.exc_type.__name__}: {args.exc_value}")
    end = time.monotonic() + seconds
    while time.monotonic() < end and all(thread.is_alive() for thread in threads):
        time.sleep(0.1)
    world.stop.set()
    for thread in threads:
        thread.join()
    threading.excepthook = hook
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

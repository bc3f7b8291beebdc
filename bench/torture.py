"""A swarm under torture: every hand on every machine writes while networks, daemons, disks and clocks fail.

    python bench/torture.py --nodes 5 --minutes 3 --seed 1

In the end, when all is healed, no acknowledged write may be missing on any node, all nodes must hold the same memories,
files and order, and consensus must never have decided two ways. A seed gives the same hands the same intentions and the
same plan of faults; who comes first is the system's choice.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

# Run as a script, its own folder is where Python looks, not the repository.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.hands.ledger import Ledger
from bench.lab.lab import Lab, keep_files, lab, lacking
from bench.lab.swarm import form
from bench.torture_swarm.check import check
from bench.torture_swarm.claims import Claimants, decided_twice, started
from bench.torture_swarm.crew import Crew, world_of
from bench.torture_swarm.faults import Faults, resumed

SHOWN = 60
GIVEN = re.compile(r"disk is full|DiskFull|No space left|no room left")


def torture(made: Lab, seed: int, seconds: float, membership: bool) -> list[str]:
    """What is wrong after so much time."""
    chance, ledger, stop = random.Random(seed), Ledger(), threading.Event()
    form(made.machines)
    crew = Crew([world_of(machine, ledger, stop) for machine in made.machines])
    crew.engage(random.Random(chance.random()))
    claimants = Claimants(stop, ledger)
    own, log = random.Random(chance.random()), made.folder / "faults.log"
    faults = Faults(made, ledger, own, stop, log, membership)
    threads = [threading.Thread(target=hand.work) for hand in crew.hands]
    threads += started(claimants, made.machines, random.Random(chance.random()))
    threads.append(threading.Thread(target=faults.work))
    ledger.problems += _worked(threads, stop, seconds)
    (made.folder / "journal.txt").write_text("\n".join(ledger.journal))
    resumed(made.machines)
    faults.over()
    print("  ".join(f"{what}: {count}" for what, count in sorted(ledger.counts.items())), flush=True)
    found = list(decided_twice(claimants))
    found += check(crew, crew.finish(), random.Random(chance.random()))
    return found + ledger.problems + _logged(made)


def _worked(threads: Sequence[threading.Thread], stop: threading.Event, seconds: float) -> list[str]:
    """Until the time is over or a hand drops dead."""
    failures: list[str] = []
    threading.excepthook = lambda args: failures.append(f"a hand failed: {args.exc_type.__name__}: {args.exc_value}")
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and all(thread.is_alive() for thread in threads):
            time.sleep(0.1)
    finally:
        # Also where somebody ends it early: hands without machines would go on for ever.
        stop.set()
        for thread in threads:
            thread.join()
    return failures


def _logged(made: Lab) -> list[str]:
    """Errors that a daemon wrote down; a full disk is one that it was given."""
    found = []
    for machine in made.machines:
        for record in re.split(r"^(?=time=)", machine.log.read_text(errors="replace"), flags=re.M):
            if ("level=ERROR" in record or "Traceback" in record) and not GIVEN.search(record):
                lines = record.strip().splitlines()
                found.append(f"in the log of {machine.name}: {lines[0]} … {lines[-1]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--no-membership", action="store_true", help="nobody is removed and joins again")
    parser.add_argument("--keep", action="store_true", help="leave the folder also where all is well")
    options = parser.parse_args()
    # Ended early, the machines are put away as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="hmd-torture-"))
    missing = lacking(folder)
    if "lan" in missing:
        folder.rmdir()
        print(f"skipped, nothing was tried: {missing['lan']}")
        return 0
    for what, why in missing.items():
        print(f"without {what}: {why}")
    print(f"seed {options.seed}, {options.nodes} nodes, {options.minutes:g} minutes, in {folder}", flush=True)
    found: list[str] = []
    with ExitStack() as stack:
        made = stack.enter_context(
            lab(options.nodes, folder, options.seed, disks="disks" not in missing, clocks="clocks" not in missing)
        )
        try:
            found = torture(made, options.seed, options.minutes * 60, not options.no_membership)
        except BaseException as error:
            found = [f"{type(error).__name__}: {error}"]
            raise
        finally:
            if found or options.keep:
                keep_files(made)
                (folder / "found.txt").write_text("\n".join(found))
    for line in found[:SHOWN]:
        print(f"  {line}")
    print(f"seed {options.seed}: {'all is well' if not found else f'{len(found)} things are wrong, see {folder}'}")
    if not found and not options.keep:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

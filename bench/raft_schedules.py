"""Simulated schedules of faults, as many as asked for: `python -m bench.raft_schedules [FIRST] [COUNT]`.

Every schedule is one seed; a broken promise prints it, to be run again alone (COUNT 1). Ends with 1 if there was one.
"""

from __future__ import annotations

import collections
import logging
import sys
import time

from tests.sync.raft.simulation import simulate


def main() -> None:
    logging.disable(logging.CRITICAL)
    first, count = (int(argument) for argument in (*sys.argv[1:], *("0", "1000")[len(sys.argv) - 1 :]))
    outcomes: collections.Counter[str] = collections.Counter()
    broken = 0
    started = time.monotonic()
    for seed in range(first, first + count):
        try:
            outcomes.update(simulate(seed).outcomes)
        except AssertionError as violation:
            broken += 1
            print(f"schedule {seed}: {violation}", flush=True)
    seconds = time.monotonic() - started
    print(f"{count} schedules in {seconds:.0f} s, {broken} broke a promise; proposals: {dict(outcomes)}")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()

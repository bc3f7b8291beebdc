"""Every measurement, one after the other, in sizes that take some minutes; `--full` in those of the targets.

Run from the repository: python -m bench.all > results.txt
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

SECONDS = 3600.0
MODEST: dict[str, list[str]] = {
    "intake": [],
    "writes": ["--lone", "300", "--concurrent", "5000", "--bulk", "10000"],
    "files": ["--notes", "100", "2000", "--rounds", "30"],
    "searches": ["--memories", "10000", "--queries", "100"],
    "start": ["--notes", "3000", "--seconds", "30"],
    "renames": ["--files", "100"],
    "links": [],
    "raft": ["--rounds", "1"],
    "shell": ["--rounds", "10"],
    "locomo": [],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the sizes the targets are for: about half an hour")
    parser.add_argument("--json", action="store_true", help="print JSON, a document for each script")
    parser.add_argument("scripts", nargs="*", help=f"only these of {', '.join(MODEST)}")
    options = parser.parse_args()
    if unknown := set(options.scripts) - MODEST.keys():
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    failed = 0
    if not options.json:
        print(f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}\n")
    for name in options.scripts or MODEST:
        sizes = [] if options.full else MODEST[name]
        command = [sys.executable, "-m", f"bench.{name}", *sizes, *(["--json"] if options.json else [])]
        sys.stdout.flush()
        failed += subprocess.run(command, cwd=Path(__file__).parents[1], timeout=SECONDS).returncode != 0
        if not options.json:
            print()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Other programs at work in the vault: real processes, told what to do line by line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_ACTOR = """
import os, sys
sys.path.insert(0, os.getcwd())
for line in sys.stdin:
    exec(eval(line), globals())
    print("done", flush=True)
"""


class Actor:
    """A Python process that runs statements one by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def does(self, statements: str) -> None:
        """Run these and wait until they are done."""
        self.begins(statements)
        assert self.process.stdout and self.process.stdout.readline() == "done\n"

    def begins(self, statements: str) -> None:
        """Run these without waiting."""
        assert self.process.stdin
        self.process.stdin.write(repr(statements) + "\n")
        self.process.stdin.flush()


@contextmanager
def actor() -> Iterator[Actor]:
    with subprocess.Popen(
        [sys.executable, "-c", _ACTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        try:
            yield Actor(process)
        finally:
            process.kill()

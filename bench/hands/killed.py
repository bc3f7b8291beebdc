"""The daemon under torture: killed again and again, at moments nobody chose."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.hands.world import Down, World
from bench.running import environment

READY_SECONDS = 300.0


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

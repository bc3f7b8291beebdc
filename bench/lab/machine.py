"""One machine of a lab: a host on the LAN, a disk or folder, a wall clock, and the daemon that may run on it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.hands.world import Down, Refused
from bench.lab.disk import Disk
from bench.lab.lan import connected
from bench.lab.wallclock import WallClock
from bench.netns import Host
from bench.running import environment

ROOT = Path(__file__).parents[2]
PORT = 8100
READY_SECONDS = 300.0
STOP_SECONDS = 180.0
ANSWER_SECONDS = 120.0
COMMAND_SECONDS = 300.0


class Refusal(Refused):
    """An answer that is an error; `code` as in its body."""

    def __init__(self, asked: str, status: int, body: bytes) -> None:
        super().__init__(f"{asked}: {status} {body[:300]!r}")
        self.status = status
        try:
            self.code = str(json.loads(body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            self.code = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """How an `hmd` command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Machine:
    """`folder` is its own; `settings` are the daemon's environment. Its disk, if any, holds the data folder alone."""

    host: Host
    folder: Path
    settings: dict[str, str]
    disk: Disk | None = None
    clock: WallClock | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def log(self) -> Path:
        """Beside the folder: a full disk leaves it alone."""
        return self.folder.with_suffix(".log")

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def environment(self) -> dict[str, str]:
        own = {
            "PYTHONPATH": str(ROOT),
            "HIVEMIND_DATA_DIR": str(self.data),
            "HIVEMIND_VAULT": str(self.vault),
            "HIVEMIND_LISTEN_ADDR": f"127.0.0.1:{PORT}",
            **self.settings,
        }
        return environment({**own, **(self.clock.environment if self.clock else {})})

    # -- the daemon's life

    def launch(self) -> None:
        """Starts the daemon and waits for nothing."""
        assert not self.runs
        command = [sys.executable, "-P", "-m", "hiveminddb.daemon"]
        with self.log.open("ab") as log:
            self.process = self.host.start(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.folder.parent,
            )

    def start(self) -> None:
        """Starts the daemon and waits until it answers; RuntimeError if it does not."""
        self.launch()
        self.ready()

    def ready(self) -> None:
        """Waits until a launched daemon answers; RuntimeError if it does not."""
        end = time.monotonic() + READY_SECONDS
        while self.runs and time.monotonic() < end:
            if self.answers():
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not become ready: {self.last_words()}")

    def answers(self) -> bool:
        """Whether the daemon says that it lives."""
        try:
            return bool(self.ask("GET", "/health", root=""))
        except (Down, Refused):
            return False

    def kill(self) -> None:
        """SIGKILL, and waited for."""
        if self.process is not None and self.runs:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and waited for; the code it ended with. One that does not end is killed."""
        if self.process is None:
            return 0
        if self.runs:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def pause(self) -> None:
        """SIGSTOP, and waited for: no thread does anything any more."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        while any(state not in "TtZX" for state in _states(self.process.pid)):
            time.sleep(0.001)

    def resume(self) -> None:
        if self.process is not None and self.runs:
            self.process.send_signal(signal.SIGCONT)

    def cut_power(self) -> None:
        """The daemon is gone, and with it whatever had not reached the disk."""
        assert self.disk is not None
        if self.runs:
            self.pause()
        picture = self.disk.picture()
        self.kill()
        self.disk.back_to(picture)

    def last_words(self, count: int = 3000) -> str:
        """The end of the daemon's log."""
        return self.log.read_text(errors="replace")[-count:] if self.log.exists() else ""

    # -- what it answers

    def ask(
        self, method: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS, root: str = "/api/v1"
    ) -> Any:
        """The answer's body. Raises Down, Refusal."""
        return self.page(method, path, body, seconds, root)[0]

    def page(
        self, method: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS, root: str = "/api/v1"
    ) -> tuple[Any, str]:
        """The same, with the cursor of the next page; each request on a connection of its own."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=seconds)
            connection.sock = connected(self.host, ("127.0.0.1", PORT), seconds)
            try:
                connection.request(method, root + path, None if body is None else json.dumps(body))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise Down(f"{self.name}: {error}") from error
        if answer.status >= 300:
            raise Refusal(f"{self.name}: {method} {path}", answer.status, content)
        return json.loads(content) if content else None, answer.getheader("x-next-cursor", "")

    def hmd(self, *words: str, given: str = "", settings: Mapping[str, str] | None = None) -> Ran:
        """Runs `hmd` on this machine, as its user would."""
        command = ["ip", "netns", "exec", self.host.namespace, sys.executable, "-m", "hiveminddb.cli", *words]
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            env={**self.environment(), "HOME": str(self.folder), **(settings or {})},
            cwd=self.folder,
            timeout=COMMAND_SECONDS,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def traffic(self) -> int:
        """Bytes that its interface has sent and received so far."""
        counters = self.host.run("cat", "/proc/net/dev")
        line = next(line for line in counters.splitlines() if line.strip().startswith("eth0:"))
        fields = line.partition(":")[2].split()
        return int(fields[0]) + int(fields[8])

    def cpu(self) -> float:
        """Seconds of CPU that the daemon and its children have used so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _states(pid: int) -> list[str]:
    """The state of each thread of a process, as in /proc."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.append(task.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found

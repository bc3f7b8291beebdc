"""Lookers: processes on hosts of a LAN that announce themselves, and what each has told of the others so far."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bench.netns import Host

ROOT = Path(__file__).parents[1]
PORT = 8101


class Looking:
    """One looker; `seen` is the newest it told of each node that it has not lost."""

    def __init__(self, host: Host, node: str, swarm: str = "aa") -> None:
        self.node = node * 20
        self.events: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        command = [sys.executable, "-m", "bench.looker", self.node, str(PORT), swarm]
        pipes: dict[str, Any] = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        self._process = host.start(command, cwd=ROOT, text=True, **pipes)
        self._readers = [threading.Thread(target=read) for read in (self._read_events, self._read_warnings)]
        for reader in self._readers:
            reader.start()

    @property
    def seen(self) -> dict[str, dict[str, Any]]:
        newest: dict[str, dict[str, Any]] = {}
        for event in list(self.events):
            if event["what"] == "seen":
                newest[event["node"]] = event
            elif event["what"] == "lost":
                del newest[event["node"]]
        return newest

    def sees(self, *others: Looking) -> bool:
        return self.seen.keys() == {other.node for other in others}

    def hosts_of(self, other: Looking) -> list[str]:
        """The addresses it has of another, IPv4 alone."""
        hosts = self.seen.get(other.node, {}).get("hosts", [])
        return [host for host in hosts if ":" not in host]

    def say(self, fields: dict[str, Any] | None) -> None:
        """Changes what it announces; None: it falls silent."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(fields) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Without a goodbye."""
        self._process.kill()
        self._reap()

    def end(self) -> None:
        """As a daemon does that is told to."""
        assert self._process.stdin is not None
        if self._process.returncode is None:
            self._process.stdin.close()
            self._reap()
            assert self.events[-1] == {"what": "end", "cancelled": True}, self.warnings

    def _reap(self) -> None:
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))

    def _read_warnings(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if not line.startswith("INFO:"):
                self.warnings.append(line)

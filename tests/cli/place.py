"""A home in a temporary folder, and `hmd` run in it as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hiveminddb
from hiveminddb import HiveMind
from hiveminddb.cli.launch import is_daemon, stop

ROOT = Path(hiveminddb.__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Place:
    """One person's machine: a home, a vault, a data folder."""

    folder: Path

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        own = {
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "HIVEMIND_DATA_DIR": str(self.data),
            "HIVEMIND_VAULT": str(self.vault),
            "HIVEMIND_LISTEN_ADDR": "127.0.0.1:0",
            "HIVEMIND_PEER_ADDR": "127.0.0.1:0",
            "HIVEMIND_EMBEDDING_MODEL": "none",
        }
        return {**kept, **own, **more}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "hiveminddb.cli", *words]

    def hmd(self, *words: str, code: int = 0, given: str | bytes = "", **more: str) -> Ran:
        """Runs hmd and checks how it ended."""
        stdin = given.encode() if isinstance(given, str) else given
        command = self.command(*words)
        done = subprocess.run(
            command, input=stdin, capture_output=True, env=self.environment(**more), cwd=self.folder, timeout=300
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert ran.code == code, (words, ran)
        return ran

    def mind(self) -> HiveMind:
        return HiveMind(data_dir=self.data)

    def end(self) -> None:
        """Stops the daemon if one runs."""
        try:
            told = json.loads((self.data / "daemon.json").read_bytes())
        except (OSError, ValueError):
            return
        if is_daemon(told["pid"]):
            stop(self.data)

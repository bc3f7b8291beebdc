"""Starting and stopping the daemon of this machine, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hiveminddb._address import Address, data_dir, running
from hiveminddb.client import HiveMind
from hiveminddb.errors import Conflict, HiveMindError, NotReachable, StorageError, Unavailable

# A daemon is ready in a second or two; one that first repairs a large database may take longer.
START_SECONDS = 60.0
STOP_SECONDS = 60.0
# A log this big is set aside at the next start.
LOG_LIMIT = 5_000_000
_LOOK_EVERY = 0.03


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a daemon: its flags, where not the default."""

    data_dir: str | None = None
    vault: str | None = None
    listen: str | None = None
    peer_addr: str | None = None
    peers: str | None = None
    name: str | None = None
    swarm_key: str | None = None

    @property
    def folder(self) -> Path:
        return data_dir(self.data_dir)

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def command(self) -> list[str]:
        """The daemon's command line; -P, so that no file in the current folder is taken for a module."""
        flags = {
            "--data-dir": self.data_dir,
            "--vault": self.vault,
            "--listen": self.listen,
            "--peer-addr": self.peer_addr,
            "--peers": self.peers,
            "--name": self.name,
        }
        given = [part for flag, value in flags.items() if value for part in (flag, value)]
        return [sys.executable, "-P", "-m", "hiveminddb.daemon", *given]

    def environment(self) -> dict[str, str]:
        """The daemon's environment, which carries the key: everybody on the machine can read a command line."""
        return {**os.environ, **({"HIVEMIND_SWARM_KEY": self.swarm_key} if self.swarm_key else {})}


def answering(folder: Path) -> Address | None:
    """The running daemon of a data folder, if it answers."""
    address = running(folder)
    if address is None or address.pid is None or not is_daemon(address.pid):
        return None
    try:
        with HiveMind(address.url, address.token, 2.0) as mind:
            mind.health()
        return address
    except HiveMindError:
        return None


def start(launch: Launch) -> tuple[Address, bool]:
    """The daemon's address once it answers, and whether it was started here (False: it ran already)."""
    if found := answering(launch.folder):
        return found, False
    try:
        process, begin = _spawn(launch)
    except OSError as cause:
        raise StorageError(
            f"cannot use the data folder {launch.folder}: {cause.strerror}",
            "name another with --data-dir or HIVEMIND_DATA_DIR",
        ) from cause
    return _answering_soon(launch, process, begin)


def _spawn(launch: Launch) -> tuple[subprocess.Popen[bytes], int]:
    """The daemon's process, and where in the log its words begin."""
    launch.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _log(launch) as log:
        begin = log.tell()
        process = subprocess.Popen(
            launch.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
            env=launch.environment(),
        )
    return process, begin


def _answering_soon(launch: Launch, process: subprocess.Popen[bytes], begin: int) -> tuple[Address, bool]:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        ended = process.poll() is not None
        if found := answering(launch.folder):
            is_ours = found.pid == process.pid
            if not is_ours:
                # Another came before it. Left alone it would begin to serve should that one be stopped soon.
                process.terminate()
                process.wait()
            return found, is_ours
        # Two starts at once: ours gives way to the one that holds the folder and will answer soon.
        if ended and not held(launch.folder):
            raise _failure(launch.log, begin)
        time.sleep(_LOOK_EVERY)
    raise Unavailable(f"no daemon has answered within {START_SECONDS:g} s", f"see its log: {launch.log}")


def stop(folder: Path) -> int:
    """Asks the daemon of a data folder to end and waits until it has; its pid."""
    address = running(folder)
    if address is None or address.pid is None or not is_daemon(address.pid):
        raise NotReachable(f"no daemon runs for {folder}", "nothing to stop")
    os.kill(address.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while is_daemon(address.pid):
        if time.monotonic() > end:
            raise Conflict(
                f"the daemon (pid {address.pid}) has not ended within {STOP_SECONDS:g} s",
                f"it may be finishing its work: see {folder / 'daemon.log'}",
            )
        time.sleep(_LOOK_EVERY)
    return address.pid


def is_daemon(pid: int) -> bool:
    """Whether a living process of that number is a HiveMindDB daemon: numbers are used again."""
    proc = Path("/proc")
    if (proc / "self/cmdline").exists():
        try:
            return b"hiveminddb.daemon" in (proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return False
    told = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "hiveminddb.daemon" in told.stdout


def _log(launch: Launch) -> IO[bytes]:
    if launch.log.exists() and launch.log.stat().st_size > LOG_LIMIT:
        launch.log.replace(launch.log.with_suffix(".log.1"))
    log = launch.log.open("ab")
    log.seek(0, os.SEEK_END)
    return log


def held(folder: Path) -> bool:
    """Whether a living daemon holds the data folder, answering or not."""
    try:
        return is_daemon(int((folder / "lock").read_bytes()))
    except (OSError, ValueError):
        return False


def _failure(log: Path, begin: int) -> Unavailable:
    """Why the daemon ended, in its own last words."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read(LOG_LIMIT).decode(errors="replace").strip().splitlines()
    error = _last(lines, "error: ") or (lines[-1] if lines else "it said nothing")
    return Unavailable(f"the daemon did not start: {error}", _last(lines, "hint: ") or f"its whole log: {log}")


def _last(lines: list[str], start: str) -> str:
    return next((line.removeprefix(start) for line in reversed(lines) if line.startswith(start)), "")

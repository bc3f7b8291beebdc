"""What the bench scripts share: a daemon of their own, a cheap client, and the table they print."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 120.0
STOP_SECONDS = 30.0
FSYNCS = 200
LAST_WORDS = 4000
BLOCK = 4096


# -- what is printed


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured; `met` is None where there is no target."""

    what: str
    measured: str
    target: str = ""
    rival: str = ""
    met: bool | None = None


def at_most(what: str, value: float, unit: str, target: float | None = None, rival: str = "", extra: str = "") -> Row:
    """A row whose value shall not exceed its target."""
    met = None if target is None else value <= target
    return Row(what, f"{value:.4g} {unit}{extra}", "" if target is None else f"<= {target:g} {unit}", rival, met)


def at_least(what: str, value: float, unit: str, target: float, rival: str = "", extra: str = "") -> Row:
    """A row whose value shall reach its target."""
    return Row(what, f"{value:.4g} {unit}{extra}", f">= {target:g} {unit}", rival, value >= target)


def latency(what: str, seconds: Sequence[float], target: float | None, rival: str = "", quantile: float = 0.5) -> Row:
    """Median and 95th percentile in ms; the target is for `quantile` of the times."""
    millis = [value * 1e3 for value in seconds]
    measured = f"p50 {percentile(millis, 0.5):.2f} ms, p95 {percentile(millis, 0.95):.2f} ms"
    if target is None:
        return Row(what, measured, "", rival)
    return Row(
        what, measured, f"p{quantile * 100:.0f} <= {target:.4g} ms", rival, percentile(millis, quantile) <= target
    )


def percentile(values: Sequence[float], quantile: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-quantile * len(ordered) // 1) - 1)]


def report(title: str, rows: Sequence[Row], as_json: bool) -> None:
    """The rows as a table, or as JSON."""
    load = os.getloadavg()[0]
    if as_json:
        print(json.dumps({"title": title, "load": load, "rows": [asdict(row) for row in rows]}, indent=1), flush=True)
        return
    words = {True: "met", False: "MISSED", None: ""}
    table = [("what", "measured", "target", "", "compare")]
    table += [(row.what, row.measured, row.target, words[row.met], row.rival) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(f"{title} ({os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()})")
    for line in table:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    sys.stdout.flush()


def arguments(about: str | None) -> argparse.ArgumentParser:
    """A parser with what every script takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--in", dest="place", help="where to make the temporary folder (default: the system's place)")
    return parser


def say(text: str) -> None:
    """Tells on stderr how far a script is."""
    print(f"... {text}", file=sys.stderr, flush=True)


# -- the disk


def bare_fsync(folder: Path) -> tuple[float, float]:
    """Median seconds to append 4 KB and make it durable, by fdatasync and by fsync, in turns."""
    block = os.urandom(BLOCK)
    taken: dict[Callable[[int], None], list[float]] = {os.fdatasync: [], os.fsync: []}
    with (folder / "bare-fsync").open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            for sync, times in taken.items():
                start = time.perf_counter()
                file.write(block)
                sync(file.fileno())
                times.append(time.perf_counter() - start)
    (folder / "bare-fsync").unlink()
    return statistics.median(taken[os.fdatasync]), statistics.median(taken[os.fsync])


# -- the daemon


class Http:
    """One keep-alive connection, no more than a measurement needs."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", 1 << 16)
        self.headers: dict[str, str] = {}

    def send(self, request: bytes) -> bytes:
        """The body of a successful answer to a rendered request."""
        self._socket.sendall(request)
        first = self._file.readline()
        if not first:
            raise ConnectionError("the daemon closed the connection")
        status = int(first.split(None, 2)[1])
        self.headers = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()
        body: bytes = self._file.read(int(self.headers.get("content-length", 0)))
        if status >= 300:
            raise RuntimeError(f"{status}: {body[:500]!r}")
        return body

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(self.send(rendered(method, path, body)))

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def rendered(method: str, path: str, body: object = None) -> bytes:
    """A request as bytes, so that making it is not part of what is timed."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process holds, in MB: resident, and its share of what is shared."""

    resident: float
    share: float


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon; `ready_s` is from its spawning to its first answer."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    data: Path
    vault: Path
    ready_s: float

    def connect(self) -> Http:
        return Http(self.host, self.port)

    def children(self) -> list[int]:
        """The embedding child, where there is one."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]


def memory_of(pid: int) -> Memory:
    """From /proc, at this moment."""
    found = {}
    for name in ("status", "smaps_rollup"):
        for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
            key, _, value = line.partition(":")
            found[key] = value.split()
    return Memory(int(found["VmRSS"][0]) / 1000, int(found["Pss"][0]) / 1000)


@contextmanager
def scratch(place: str | None) -> Iterator[Path]:
    """A temporary folder, removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="hmd-bench-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def daemon(folder: Path, model: str = "") -> Iterator[Daemon]:
    """A daemon on folder/data and folder/vault, ended by its pid; `model` as HIVEMIND_EMBEDDING_MODEL takes it."""
    data, vault = folder / "data", folder / "vault"
    data.mkdir(exist_ok=True)
    vault.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "hiveminddb.daemon", "--listen", "127.0.0.1:0"]
    command += ["--data-dir", str(data), "--vault", str(vault), *(["--embedding-model", model] if model else [])]
    with (folder / "daemon.log").open("ab") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), cwd=folder
        )
    try:
        host, port = _ready(process, data)
        yield Daemon(process, host, port, data, vault, time.perf_counter() - start)
    except BaseException:
        say(f"the daemon's last words:\n{last_words(folder)}")
        raise
    finally:
        end(process)


def last_words(folder: Path) -> str:
    """The end of the daemon's log."""
    return (folder / "daemon.log").read_text(errors="replace")[-LAST_WORDS:]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without settings of an installed daemon."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HIVEMIND", "AGENT_MEMORY"))}
    return {**kept, **(extra or {})}


def _ready(process: subprocess.Popen[bytes], data: Path) -> tuple[str, int]:
    limit = time.monotonic() + READY_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        try:
            told = json.loads((data / "daemon.json").read_bytes())
            if told["pid"] == process.pid:
                host, _, port = told["url"].removeprefix("http://").rpartition(":")
                client = Http(host, int(port))
                client.ask("GET", "/health")
                client.close()
                return host, int(port)
        except (FileNotFoundError, ConnectionError):
            pass
        time.sleep(0.005)
    end(process)
    raise SystemExit("the daemon did not become ready")


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks a process of ours to go, and makes it go after a while."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(done: Callable[[], bool], seconds: float, what: str, pause: float = 0.05) -> float:
    """Waits for something; the seconds it took. Ends the script where it does not come about."""
    start = time.perf_counter()
    while not done():
        if time.perf_counter() - start > seconds:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return time.perf_counter() - start

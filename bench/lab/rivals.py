"""Debian's etcd and syncthing, several of each on this machine, for comparison in the same run."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.running import Http, end, rendered, until

READY_SECONDS = 60.0
API_KEY = "bench"


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def etcd(folder: Path, nodes: int) -> Iterator[Http]:
    """A cluster of so many nodes, plain TCP on loopback; a connection to the first."""
    ports = [(free_port(), free_port()) for _ in range(nodes)]
    peers = ",".join(f"n{i}=http://127.0.0.1:{peer}" for i, (_, peer) in enumerate(ports))
    with ExitStack() as stack:
        for i, (client, peer) in enumerate(ports):
            options = {
                "name": f"n{i}",
                "data-dir": str(folder / f"etcd-{i}"),
                "listen-client-urls": f"http://127.0.0.1:{client}",
                "advertise-client-urls": f"http://127.0.0.1:{client}",
                "listen-peer-urls": f"http://127.0.0.1:{peer}",
                "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
                "initial-cluster": peers,
            }
            command = ["etcd", *(f"--{name}={value}" for name, value in options.items())]
            stack.callback(end, _started(command, folder / f"etcd-{i}.log"))
        until(lambda: _healthy(ports[0][0]), READY_SECONDS, "etcd has a leader")
        connection = Http("127.0.0.1", ports[0][0])
        stack.callback(connection.close)
        yield connection


def etcd_put(key: str, value: str) -> bytes:
    """The request for it, through etcd's own JSON gateway."""
    pair = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value.encode()).decode()}
    return rendered("POST", "/v3/kv/put", pair)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(json.load(answer)["health"] == "true")
    except (OSError, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class Syncthing:
    """One instance; `folder` is what it keeps the same as the other's."""

    home: Path
    folder: Path
    gui: int
    listen: int
    id: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gui}/rest{path}",
            None if body is None else json.dumps(body).encode(),
            {"X-API-Key": API_KEY, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None


@contextmanager
def syncthings(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Two instances that know each other's address; the two folders they keep the same."""
    with ExitStack() as stack:
        pair = [_generated(folder / f"syncthing-{i}") for i in range(2)]
        for each in pair:
            address = f"--gui-address=127.0.0.1:{each.gui}"
            command = ["syncthing", "serve", f"--home={each.home}", "--no-browser", "--no-upgrade", "--no-restart"]
            log = each.home.with_suffix(".log")
            stack.callback(end, _started([*command, address, f"--gui-apikey={API_KEY}"], log))
        for each in pair:
            until(lambda each=each: _answers(each), READY_SECONDS, "syncthing answers")  # type: ignore[misc]
            _configure(each, pair)
        until(lambda: all(_in_step(each) for each in pair), READY_SECONDS, "the two are connected")
        yield pair[0].folder, pair[1].folder


def _generated(home: Path) -> Syncthing:
    subprocess.run(["syncthing", "generate", f"--home={home}", "--no-default-folder"], check=True, capture_output=True)
    told = subprocess.run(["syncthing", "serve", f"--home={home}", "--device-id"], check=True, capture_output=True)
    shared = home.with_name(f"{home.name}-folder")
    shared.mkdir()
    return Syncthing(home, shared, free_port(), free_port(), told.stdout.decode().strip())


def _configure(mine: Syncthing, pair: list[Syncthing]) -> None:
    """Direct addresses only; changes are looked for after the least delay it knows, a second."""
    options = {
        "listenAddresses": [f"tcp://127.0.0.1:{mine.listen}"],
        "globalAnnounceEnabled": False,
        "localAnnounceEnabled": False,
        "relaysEnabled": False,
        "natEnabled": False,
        "urAccepted": -1,
        "crashReportingEnabled": False,
        "reconnectionIntervalS": 1,
    }
    mine.ask("PATCH", "/config/options", options)
    devices = [{"deviceID": each.id, "addresses": [f"tcp://127.0.0.1:{each.listen}"]} for each in pair]
    for device in devices:
        mine.ask("PUT", f"/config/devices/{device['deviceID']}", device)
    shared = {"id": "bench", "path": str(mine.folder), "devices": devices, "fsWatcherDelayS": 1, "type": "sendreceive"}
    mine.ask("PUT", "/config/folders/bench", shared)


def _answers(each: Syncthing) -> bool:
    try:
        return bool(each.ask("GET", "/system/ping"))
    except (OSError, http.client.HTTPException, urllib.error.URLError):
        return False


def _in_step(each: Syncthing) -> bool:
    connections: Mapping[str, Any] = each.ask("GET", "/system/connections")["connections"]
    status = each.ask("GET", "/db/status?folder=bench")
    return any(it["connected"] for it in connections.values()) and status["state"] == "idle"


def _started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent)

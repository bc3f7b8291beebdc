"""Consensus beside etcd: three voters each, on this machine and disk, in turns: `python -m bench.raft [--seconds 4]`.

Commands of 300 bytes to the leader. Ours speak mutual TLS 1.3 to each other, etcd plain TCP; both fdatasync before they
answer. The load generator is one process, the same for both, with a kept connection a client.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.raft_load import until_answered
from bench.running import Row, arguments, at_least, at_most, bare_fsync, end, environment, report, say, scratch, until

CLIENTS = 128
IDLE_SECONDS = 6.0


@dataclass
class Cluster:
    """Three processes; `leads` tells by its client port whether a node leads."""

    kind: str
    ports: list[int]
    processes: list[subprocess.Popen[bytes]]
    leads: Callable[[int], bool]
    loads: list[dict[str, Any]] = field(default_factory=list)
    singles: list[dict[str, Any]] = field(default_factory=list)
    followers: list[dict[str, Any]] = field(default_factory=list)

    def leader(self) -> int:
        """Its position, once there is one."""
        found: list[int] = []

        def looked() -> bool:
            found[:] = [place for place, port in enumerate(self.ports) if self._leads(place, port)]
            return len(found) == 1

        until(looked, 30, f"a leader of {self.kind}")
        return found[0]

    def _leads(self, place: int, port: int) -> bool:
        try:
            return self.processes[place].poll() is None and self.leads(port)
        except (OSError, ValueError):
            return False

    def load(self, place: int, clients: int, seconds: float) -> dict[str, Any]:
        command = [sys.executable, "-m", "bench.raft_load", self.kind, str(self.ports[place]), str(clients)]
        command.append(str(int(seconds)))
        answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        if answer["failed"]:
            say(f"{self.kind}: {answer['failed']} requests failed")
        return answer


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running(
    kind: str, commands: list[list[str]], ports: list[int], leads: Callable[[int], bool], log: Path
) -> Iterator[Cluster]:
    with log.open("ab") as output:
        started = [subprocess.Popen(command, stdout=output, stderr=output, env=environment()) for command in commands]
    try:
        yield Cluster(kind, ports, started, leads)
    finally:
        for process in started:
            end(process)


@contextmanager
def voters(folder: Path) -> Iterator[Cluster]:
    ports = free_ports(6)
    peers = [
        (Ed25519PrivateKey.generate().private_bytes_raw().hex(), ports[place], ports[3 + place]) for place in range(3)
    ]
    commands = []
    for place in range(3):
        settings = {"folder": str(folder / f"voter-{place}"), "me": place, "peers": peers}
        commands.append([sys.executable, "-m", "bench.raft_voter", json.dumps(settings)])

    def leads(port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
            asked.sendall(b"?")
            view = json.loads(asked.recv(1000))
            return view["role"] == "leader" and bool(view["quorum"])

    with running("voter", commands, ports[3:], leads, folder / "voters.log") as cluster:
        yield cluster


@contextmanager
def etcd(folder: Path) -> Iterator[Cluster]:
    ports = free_ports(6)
    members = ",".join(f"n{place}=http://127.0.0.1:{ports[place]}" for place in range(3))
    commands = []
    for place in range(3):
        peer, client = f"http://127.0.0.1:{ports[place]}", f"http://127.0.0.1:{ports[3 + place]}"
        command = ["etcd", "--name", f"n{place}", "--data-dir", str(folder / f"etcd-{place}"), "--log-level", "error"]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        commands.append([*command, "--initial-cluster", members, "--initial-cluster-state", "new"])

    def leads(port: int) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v3/maintenance/status", b"{}", timeout=5) as answer:
            status = json.load(answer)
        return bool(status.get("leader") == status["header"]["member_id"])

    with running("etcd", commands, ports[3:], leads, folder / "etcd.log") as cluster:
        yield cluster


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_share(cluster: Cluster) -> float:
    """Of one core, the busiest of the three nodes while nothing is asked."""
    time.sleep(3)
    before = [cpu_seconds(process) for process in cluster.processes]
    time.sleep(IDLE_SECONDS)
    after = [cpu_seconds(process) for process in cluster.processes]
    return max(later - earlier for earlier, later in zip(before, after, strict=True)) / IDLE_SECONDS


def without_leader(cluster: Cluster, number: int) -> float:
    """Seconds from a signal to the leader until one of the others has committed a command."""
    place = cluster.leader()
    left = [port for other, port in enumerate(cluster.ports) if other != place]
    cluster.load((place + 1) % 3, 1, 1)

    async def measured() -> float:
        cluster.processes[place].send_signal(number)
        return await until_answered(cluster.kind, left, 30)

    taken = asyncio.run(measured())
    cluster.processes[place].send_signal(signal.SIGCONT)
    return taken


def middle(loads: list[dict[str, Any]], quantile: float) -> float:
    """Of the rounds' latencies at this quantile the median, in ms."""
    return float(statistics.median(load["times"][int(len(load["times"]) * quantile)] for load in loads) * 1e3)


def measure(clusters: list[Cluster], rounds: int, seconds: float) -> None:
    for count in range(rounds):
        for cluster in clusters:
            leader = cluster.leader()
            say(f"round {count + 1}: {cluster.kind}")
            cluster.loads.append(cluster.load(leader, CLIENTS, seconds))
            cluster.singles.append(cluster.load(leader, 1, max(1, seconds / 2)))
            cluster.followers.append(cluster.load((leader + 1) % 3, 1, max(1, seconds / 2)))


def compare(folder: Path, rounds: int, seconds: float) -> list[Row]:
    fdatasync, _ = bare_fsync(folder)
    with voters(folder) as ours, etcd(folder) as theirs:
        ours.leader(), theirs.leader()
        idle, their_idle = idle_share(ours), idle_share(theirs)
        measure([ours, theirs], rounds, seconds)
        frozen, theirs_frozen = without_leader(ours, signal.SIGSTOP), without_leader(theirs, signal.SIGSTOP)
        killed, theirs_killed = without_leader(ours, signal.SIGKILL), without_leader(theirs, signal.SIGKILL)
    rate, rival = (statistics.median(load["per_second"] for load in c.loads) for c in (ours, theirs))
    rows = [at_least(f"{CLIENTS} clients", rate, "/s", rival, f"etcd {rival:.0f}/s")]
    for what, mine, other, target in (
        ("one client at the leader, p50", ours.singles, theirs.singles, 1.5),
        ("one client at a follower, p50", ours.followers, theirs.followers, 1.5),
        (f"{CLIENTS} clients, p50", ours.loads, theirs.loads, 1.5),
    ):
        extra = f", p95 {middle(mine, 0.95):.2f}"
        compare_to = f"etcd {middle(other, 0.5):.2f} ms, p95 {middle(other, 0.95):.2f}"
        rows.append(at_most(what, middle(mine, 0.5), "ms", target * middle(other, 0.5), compare_to, extra))
    rows.append(at_most("leader frozen: next commit", frozen, "s", 1.0, f"etcd {theirs_frozen:.2f} s"))
    rows.append(at_most("leader killed: next commit", killed, "s", 1.0, f"etcd {theirs_killed:.2f} s"))
    rows.append(at_most("idle, of a core", idle * 100, "%", 1.0, f"etcd {their_idle * 100:.1f} %"))
    rows.append(Row("bare fdatasync of 4 KB", f"{fdatasync * 1e3:.2f} ms"))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    if shutil.which("etcd") is None:
        raise SystemExit("etcd is not installed (Debian: etcd-server)")
    with scratch(options.place) as folder:
        report("Consensus, three voters", compare(folder, options.rounds, options.seconds), options.json)


if __name__ == "__main__":
    main()

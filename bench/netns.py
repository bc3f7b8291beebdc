"""A small LAN of Linux network namespaces: hosts on one switch, that can be cut apart, moved and put to sleep.

Only `ip` and root are needed: no packet filter, no traffic shaping. Everything made is removed on leaving, also the
processes; what a killed run left behind is removed by the next one.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAMESPACES = Path("/run/netns")
_PREFIX = "hmd"
_CLONE_NEWNET = 0x40000000
_SWITCH_SETTINGS = ("mcast_snooping", "0")
# Frames to it are forwarded and nobody takes them.
_NOBODY = "02:de:ad:00:00:00"
_numbers = itertools.count()


@dataclass(slots=True)
class Host:
    """One machine on the LAN; `address` is its present IPv4 address, its interface is `eth0`."""

    name: str
    namespace: str
    port: str
    address: str
    processes: list[subprocess.Popen[Any]] = field(default_factory=list)

    def run(self, *command: str) -> str:
        """What a command that ends says on this host. Raises CalledProcessError."""
        return _run("ip", "netns", "exec", self.namespace, *command)

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """A process on this host, which is killed when the network goes; options as for Popen."""
        process = subprocess.Popen(("ip", "netns", "exec", self.namespace, *command), **options)
        self.processes.append(process)
        return process

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread opens meanwhile are on this host, and stay there."""
        with _opened(Path("/proc/thread-self/ns/net")) as home, _opened(_NAMESPACES / self.namespace) as there:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)

    def move(self, address: str) -> None:
        """Another IPv4 address instead of the present one, as DHCP may give."""
        self.run("ip", "address", "del", f"{self.address}/24", "dev", "eth0")
        self.address = address
        self.run("ip", "address", "add", f"{address}/24", "dev", "eth0")

    def link(self, up: bool) -> None:
        """Its cable pulled or put back; down, it loses its IPv6 addresses, as on every machine."""
        self.run("ip", "link", "set", "eth0", "up" if up else "down")

    def mute(self, other: Host, silent: bool = True) -> None:
        """Nothing that this host sends to the other's present address arrives; the other way is untouched."""
        entry = ("ip", "neigh", "replace" if silent else "del", other.address, "dev", "eth0")
        self.run(*entry, *(("lladdr", _NOBODY, "nud", "permanent") if silent else ()))


class Network:
    """Hosts h0, h1, … with 10.77.0.1, 10.77.0.2, … on one switch. Raises Unavailable where it may not be made."""

    def __init__(self, hosts: int) -> None:
        self._tag = f"{_PREFIX}{os.getpid()}n{next(_numbers)}"
        self._switch = f"{self._tag}sw"
        self.hosts = tuple(Host(f"h{i}", f"{self._tag}h{i}", f"port{i}", f"10.77.0.{i + 1}") for i in range(hosts))

    def __enter__(self) -> Network:
        if reason := unavailable():
            raise Unavailable(reason)
        try:
            self._build()
        except BaseException:
            _remove(self._tag)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self._tag)
        for process in itertools.chain.from_iterable(host.processes for host in self.hosts):
            process.wait()

    def partition(self, *sides: Sequence[Host]) -> None:
        """Hosts of one side hear each other and nobody else; hosts named on no side hear nobody."""
        for host in self.hosts:
            _run("ip", "-n", self._switch, "link", "set", host.port, "nomaster")
        for number, side in enumerate(sides):
            for host in side:
                self._plug(host, number)

    def heal(self) -> None:
        """All hear all."""
        for host in self.hosts:
            self._plug(host, 0)

    def estrange(self, *hosts: Host) -> None:
        """These do not hear each other; everybody else hears them and is heard. None: nobody is estranged."""
        for host in self.hosts:
            isolated = "on" if host in hosts else "off"
            _run("ip", "-n", self._switch, "link", "set", host.port, "type", "bridge_slave", "isolated", isolated)

    def second_home(self, host: Host, side: int, address: str) -> None:
        """Another interface, `eth1`, on the switch of that side of a partition, with an address of another network."""
        port = f"{host.port}b"
        self._cable(host, port, "eth1")
        _run("ip", "-n", self._switch, "link", "set", port, "master", f"side{side}", "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth1")

    def _build(self) -> None:
        _run("ip", "netns", "add", self._switch)
        for number in range(len(self.hosts)):
            _run("ip", "-n", self._switch, "link", "add", f"side{number}", "type", "bridge", *_SWITCH_SETTINGS)
            _run("ip", "-n", self._switch, "link", "set", f"side{number}", "up")
        for host in self.hosts:
            self._add(host)

    def _add(self, host: Host) -> None:
        _run("ip", "netns", "add", host.namespace)
        # Duplicate address detection would leave the link-local address unusable for a second or two.
        with host.inside(), suppress(FileNotFoundError):
            Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
        self._cable(host, host.port, "eth0")
        self._plug(host, 0)
        _run("ip", "-n", self._switch, "link", "set", host.port, "up")
        host.run("ip", "link", "set", "lo", "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")

    def _cable(self, host: Host, port: str, interface: str) -> None:
        ends = ("type", "veth", "peer", "name", interface, "netns", host.namespace)
        _run("ip", "-n", self._switch, "link", "add", port, *ends)
        host.run("ip", "link", "set", interface, "up")

    def _plug(self, host: Host, side: int) -> None:
        _run("ip", "-n", self._switch, "link", "set", host.port, "master", f"side{side}")


class Unavailable(Exception):
    """Network namespaces cannot be made here; says why."""


@functools.cache
def unavailable() -> str:
    """Why no network can be made here; empty where one can. Removes what killed runs have left behind."""
    if not shutil.which("ip"):
        return "network namespaces need Linux and iproute2"
    for stale in _stale():
        _remove(stale)
    probe = f"{_PREFIX}{os.getpid()}probe"
    try:
        _run("ip", "netns", "add", probe)
        _run("ip", "-n", probe, "link", "add", "probe", "type", "bridge")
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted here: {error.stderr.strip()}"
    finally:
        _remove(probe)
    return ""


def _stale() -> set[str]:
    """The tags of networks whose maker runs no more."""
    tags = (re.match(rf"({_PREFIX}(\d+)(?:n\d+|probe))", path.name) for path in _NAMESPACES.glob(f"{_PREFIX}*"))
    return {tag[1] for tag in tags if tag and not Path(f"/proc/{tag[2]}").exists()}


def _namespaces(tag: str) -> list[str]:
    """The names that begin with the tag: `n1` is not the tag of `n10h0`."""
    return [path.name for path in _NAMESPACES.glob(f"{tag}*") if not path.name[len(tag) :][:1].isdigit()]


def _remove(tag: str) -> None:
    for name in _namespaces(tag):
        for pid in _run("ip", "netns", "pids", name, check=False).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _run("ip", "netns", "del", name, check=False)


def _run(*command: str, check: bool = True) -> str:
    return subprocess.run(command, check=check, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")

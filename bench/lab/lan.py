"""A LAN whose switch is ours: hosts are cut apart, hear without being heard, and lose, delay and reorder frames."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.lab.wire import CLOSED, OPEN, Way, Wire, mac
from bench.netns import Host, Network, unavailable

TUN = Path("/dev/net/tun")
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
# Fewer and larger frames than a real LAN's: the switch is one process that shares the machine with the daemons.
MTU = "9000"


class Lan(Network):
    """A Network on the switch of bench.lab.wire; ways that nothing was said about are open."""

    def __init__(self, hosts: int, seed: int = 0) -> None:
        super().__init__(hosts)
        self._seed = seed
        self._taps: list[int] = []
        self._wire: Wire | None = None
        self._apart: frozenset[tuple[int, int]] = frozenset()
        self._mute: set[tuple[int, int]] = set()
        self._slow: dict[int, Way] = {}

    def __exit__(self, *why: object) -> None:
        super().__exit__(*why)
        if self._wire:
            self._wire.close()
        for tap in self._taps:
            os.close(tap)

    def partition(self, *sides: Sequence[Host]) -> None:
        """Hosts of one side hear each other and nobody else; hosts named on no side hear nobody."""
        side = {id(host): number for number, hosts in enumerate(sides) for host in hosts}
        among = {(i, j) for i, j in self._pairs() if side.get(id(self.hosts[i]), -i - 1) == side.get(id(self.hosts[j]))}
        self._apart = frozenset(self._pairs()) - among
        self._tell()

    def heal(self) -> None:
        """All hear all, at once and without loss."""
        self._apart, self._mute, self._slow = frozenset(), set(), {}
        self._tell()

    def silence(self, host: Host, others: Iterable[Host]) -> None:
        """Nothing that this host sends to those arrives; the other way is untouched."""
        self._mute |= {(self._port(host), self._port(other)) for other in others if other is not host}
        self._tell()

    def disturb(self, host: Host, way: Way) -> None:
        """What this host sends gets lost, late and out of order to this degree."""
        self._slow[self._port(host)] = way
        self._tell()

    def _pairs(self) -> list[tuple[int, int]]:
        count = range(len(self.hosts))
        return [(i, j) for i in count for j in count if i != j]

    def _port(self, host: Host) -> int:
        return next(number for number, each in enumerate(self.hosts) if each is host)

    def _tell(self) -> None:
        closed = self._apart | self._mute
        ways = {pair: CLOSED if pair in closed else self._slow.get(pair[0], OPEN) for pair in self._pairs()}
        assert self._wire is not None
        self._wire.set({pair: way for pair, way in ways.items() if way != OPEN})

    def _build(self) -> None:
        for number, host in enumerate(self.hosts):
            self._join(number, host)
        self._wire = Wire(self._taps, self._seed)

    def _join(self, number: int, host: Host) -> None:
        subprocess.run(["ip", "netns", "add", host.namespace], check=True, capture_output=True)
        with host.inside():
            with contextlib.suppress(FileNotFoundError):
                Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
            self._taps.append(_tap("eth0"))
        host.run("ip", "link", "set", "lo", "up")
        host.run("ip", "link", "set", "eth0", "address", mac(number), "mtu", MTU, "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")


def _tap(name: str) -> int:
    """An interface whose frames are read and written at the descriptor given."""
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def why_no_lan() -> str:
    """Why no LAN can be made here; empty where one can."""
    if reason := unavailable():
        return reason
    return "" if os.access(TUN, os.R_OK | os.W_OK) else f"{TUN} cannot be opened: no interfaces of our own"


def connected(host: Host, address: tuple[str, int], timeout: float) -> socket.socket:
    """A TCP connection from this host."""
    with host.inside():
        return socket.create_connection(address, timeout)


def sides(hosts: Sequence[Host], chance: random.Random) -> tuple[list[Host], list[Host]]:
    """Two sides, neither empty."""
    shuffled = chance.sample(list(hosts), len(hosts))
    cut = chance.randint(1, len(hosts) - 1)
    return shuffled[:cut], shuffled[cut:]

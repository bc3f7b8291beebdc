"""The LAN of namespaces that other tests and the torture stand on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.netns import Host, Network
from tests.lan import lan
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with lan(3) as made:
        yield made


def hears(listener: Host, speaker: Host, to: str | None = None) -> bool:
    """Whether a datagram arrives, as it does at the first or second try where there is a way."""
    with listener.inside():
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with speaker.inside():
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ear, mouth:
        ear.bind(("", 0))
        ear.settimeout(0.1)
        for _ in range(3):
            try:
                mouth.sendto(b"?", (to or listener.address, ear.getsockname()[1]))
                return ear.recv(1) == b"?"
            except OSError:
                continue
    return False


def test_hosts_hear_each_other_but_not_over_a_partition(network: Network) -> None:
    a, b, c = network.hosts
    assert hears(a, b) and hears(b, c) and hears(c, a)
    network.partition([a, b], [c])
    assert hears(a, b) and not hears(c, a) and not hears(b, c)
    network.partition([a, c])
    assert hears(a, c) and not hears(a, b)
    network.heal()
    assert hears(a, b) and hears(b, c) and hears(c, a)


def test_two_hosts_may_be_estranged_while_a_third_hears_both(network: Network) -> None:
    a, b, c = network.hosts
    network.estrange(a, b)
    assert not hears(a, b) and not hears(b, a) and hears(a, c) and hears(c, b)
    network.estrange()
    assert hears(a, b)


def test_a_mute_host_still_hears(network: Network) -> None:
    a, b, _ = network.hosts
    a.mute(b)
    assert not hears(b, a) and hears(a, b)
    a.mute(b, silent=False)
    assert hears(b, a)


def test_a_host_moves_to_another_address_and_its_cable_may_be_pulled(network: Network) -> None:
    a, b, _ = network.hosts
    old = a.address
    a.move("10.77.0.99")
    assert hears(a, b) and not hears(a, b, old)
    a.link(False)
    assert not hears(a, b)
    a.link(True)
    wait_until(lambda: hears(a, b))


def test_nothing_is_left_of_a_network() -> None:
    before = namespaces(os.getpid())
    with lan(1) as network:
        process = network.hosts[0].start(["sleep", "1000"])
        assert len(namespaces(os.getpid()) - before) == 2
    assert process.returncode is not None
    assert namespaces(os.getpid()) == before


def test_a_network_whose_maker_was_killed_is_removed_by_the_next_one() -> None:
    with lan(0):
        script = (
            "import os, bench.netns as n\nwith n.Network(1) as net: net.hosts[0].start(['sleep', '99']); os._exit(0)"
        )
        with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as maker:
            assert maker.wait() == 0
        assert len(namespaces(maker.pid)) == 2
        subprocess.run([sys.executable, "-c", "import bench.netns as n; n.unavailable()"], check=True, cwd=ROOT)
        assert not namespaces(maker.pid)


def namespaces(pid: int) -> set[str]:
    return {path.name for path in Path("/run/netns").glob(f"hmd{pid}n*")}

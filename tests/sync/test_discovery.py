"""Discovery among processes that each have a machine of their own, on a network that only this test has."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from bench.looking import Looking
from bench.netns import Host, Network
from tests.lan import lan
from tests.waiting import wait_until

_EVERY_PROTOCOL = 3
_MULTICAST_DNS = ("224.0.0.251", 5353)

Start = Callable[..., Looking]


@pytest.fixture
def network() -> Iterator[Network]:
    with lan(3) as made:
        yield made


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Looking] = []

    def starting(host: Host, node: str, swarm: str = "aa") -> Looking:
        started.append(Looking(host, node, swarm))
        return started[-1]

    yield starting
    for looking in started:
        looking.end()


def test_nodes_find_each_other_whenever_they_start_and_swarms_are_told_apart(network: Network, start: Start) -> None:
    one, two, three = network.hosts
    a, b = start(one, "a"), start(two, "b")
    all_see_each_other(a, b)
    c = start(three, "c", swarm="cc")
    all_see_each_other(a, b, c)
    assert [a.seen[other.node]["swarm_tag"] for other in (b, c)] == ["aa", "cc"]
    assert a.hosts_of(b) == [two.address] and c.hosts_of(a) == [one.address]
    assert any(host.startswith("fe80:") and "%" in host for host in a.seen[b.node]["hosts"])
    assert not a.warnings + b.warnings + c.warnings


def test_a_node_that_moves_to_another_address_is_followed(network: Network, start: Start) -> None:
    one, two, three = network.hosts
    a, b, c = start(one, "a"), start(two, "b"), start(three, "c")
    all_see_each_other(a, b, c)
    two.move("10.77.0.50")
    wait_until(lambda: a.hosts_of(b) == ["10.77.0.50"] == c.hosts_of(b))
    one.link(False)
    one.move("10.77.0.60")
    one.link(True)
    wait_until(lambda: b.hosts_of(a) == ["10.77.0.60"] == c.hosts_of(a))
    assert all(event["what"] != "lost" for looking in (a, b, c) for event in looking.events)


def test_what_a_node_announces_may_change_and_a_node_that_leaves_is_lost(network: Network, start: Start) -> None:
    one, two, _ = network.hosts
    a, b = start(one, "a"), start(two, "b")
    all_see_each_other(a, b)
    a.say({"invite_tag": "12ab", "alone": False})
    wait_until(lambda: (b.seen[a.node]["invite_tag"], b.seen[a.node]["alone"]) == ("12ab", False))
    a.say({"invite_tag": None})
    wait_until(lambda: b.seen[a.node]["invite_tag"] is None)
    a.say(None)
    wait_until(lambda: b.sees())
    assert a.sees(b)
    a.say({})
    wait_until(lambda: b.sees(a))
    a.end()
    wait_until(lambda: b.sees())


def test_nothing_is_told_twice(network: Network, start: Start) -> None:
    one, two, _ = network.hosts
    a, b = start(one, "a"), start(two, "b")
    all_see_each_other(a, b)
    for tag in ("1", "2", "3"):
        b.say({"invite_tag": tag})
        wait_until(lambda tag=tag: a.seen[b.node]["invite_tag"] == tag)  # type: ignore[misc]
    told = [event for event in a.events if event["what"] == "seen"]
    assert all(one != two for one, two in zip(told, told[1:], strict=False))


def test_a_machine_without_a_network_says_so_once_and_finds_the_others_when_it_has_one(
    network: Network, start: Start
) -> None:
    one, two, _ = network.hosts
    one.link(False)
    one.run("ip", "link", "set", "lo", "down")
    one.run("ip", "address", "del", f"{one.address}/24", "dev", "eth0")
    a, b = start(one, "a"), start(two, "b")
    wait_until(lambda: a.warnings)
    one.link(True)
    one.run("ip", "address", "add", f"{one.address}/24", "dev", "eth0")
    all_see_each_other(a, b)
    assert len(a.warnings) == 1 and "discovery off" in a.warnings[0] and "peers" in a.warnings[0]


def test_nodes_on_a_machine_that_has_nothing_but_itself_find_each_other(network: Network, start: Start) -> None:
    one = network.hosts[0]
    one.link(False)
    one.run("ip", "address", "del", f"{one.address}/24", "dev", "eth0")
    a, b = start(one, "a"), start(one, "b")
    all_see_each_other(a, b)
    assert a.hosts_of(b) == ["127.0.0.1"]


def test_a_network_that_has_ipv6_alone_will_do_also_before_its_addresses_can_be_used(
    network: Network, start: Start
) -> None:
    one, two, _ = network.hosts
    for host in (one, two):
        host.run("ip", "address", "del", f"{host.address}/24", "dev", "eth0")
    a = start(one, "a")
    two.link(False)
    # The address is there at once, and tentative until nobody has answered to it for a second.
    two.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad")
    b = start(two, "b")
    two.link(True)
    all_see_each_other(a, b)


def test_a_machine_on_two_networks_is_found_on_both_also_when_the_second_comes_later(
    network: Network, start: Start
) -> None:
    one, two, three = network.hosts
    network.partition([one, two], [three])
    a, b, c = start(one, "a"), start(two, "b"), start(three, "c")
    all_see_each_other(a, b)
    network.second_home(one, 1, "10.77.0.71")
    wait_until(lambda: a.sees(b, c) and c.sees(a) and b.sees(a))
    assert "10.77.0.71" in c.hosts_of(a) and a.hosts_of(c) == [three.address]


def test_the_network_learns_nothing_but_ids_and_tags(network: Network, start: Start) -> None:
    one, two, three = network.hosts
    with three.inside():
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    with ear:
        ear.settimeout(0)
        a, b = start(one, "a"), start(two, "b")
        all_see_each_other(a, b)
        heard = b"".join(_all(ear))
    assert b"_hivemind" in heard and a.node.encode() in heard
    private = (socket.gethostname(), os.environ.get("USER", "root"), os.uname().nodename)
    assert not any(word.encode() in heard for word in private)


def test_garbage_on_the_network_disturbs_nobody(network: Network, start: Start) -> None:
    one, two, three = network.hosts
    a, b = start(one, "a"), start(two, "b")
    with three.inside():
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with mouth:
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(three.address))
        for size in range(0, 1400, 7):
            mouth.sendto(os.urandom(size), _MULTICAST_DNS)
            mouth.sendto(b"\0\0\x84\0\0\0\0\1\0\0\0\0" + os.urandom(size), _MULTICAST_DNS)
    all_see_each_other(a, b)
    c = start(three, "c")
    all_see_each_other(a, b, c)


def all_see_each_other(*lookers: Looking) -> None:
    """Waits until each sees exactly the others."""
    wait_until(lambda: all(one.sees(*(other for other in lookers if other is not one)) for one in lookers))


def _all(ear: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield ear.recv(65536)
        except BlockingIOError:
            return

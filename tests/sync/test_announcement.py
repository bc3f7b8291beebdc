from __future__ import annotations

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.announcement import MOST_ADDRESSES, Announcement, properties, seen, service_name, swarm_tag

NODE = NodeId("abcdefghijklmnopqr23")
FIELDS = {"v": "1", "s": "12ab", "a": "1"}
tags = st.text("0123456789abcdef", min_size=1, max_size=16)


@given(st.integers(1, 65535), tags, st.booleans(), st.none() | tags, st.none() | tags)
def test_what_is_announced_is_what_is_seen(
    port: int, swarm: str, alone: bool, invite: str | None, key: str | None
) -> None:
    told = properties(Announcement(port, swarm, alone, invite, key))
    other = seen(service_name(NODE), told, port, ["10.0.0.1"])
    assert other is not None
    assert (other.node, other.swarm_tag, other.alone, other.invite_tag, other.key_tag) == (
        NODE,
        swarm,
        alone,
        invite,
        key,
    )
    assert other.addresses == (Address("10.0.0.1", port),) and other.protocol == 1


def test_addresses_that_cannot_be_dialled_from_here_are_left_out_and_ipv4_comes_first() -> None:
    other = seen(service_name(NODE), FIELDS, 1, ["fe80::1%2", "fe80::1", "fd00::5", "10.0.0.9"])
    assert other is not None
    assert [address.host for address in other.addresses] == ["10.0.0.9", "fd00::5", "fe80::1%2"]


def test_nobody_makes_us_dial_a_whole_network() -> None:
    other = seen(service_name(NODE), FIELDS, 1, [f"10.0.{n}.1" for n in range(200)])
    assert other is not None and len(other.addresses) == MOST_ADDRESSES


def test_what_says_nothing_of_use_is_nobody() -> None:
    hosts = ["10.0.0.1"]
    assert seen(service_name(NODE), FIELDS, 1, hosts)
    assert seen("somebody-else._hivemind._tcp.local.", FIELDS, 1, hosts) is None
    assert seen(f"{NODE}._http._tcp.local.", FIELDS, 1, hosts) is None
    assert seen(service_name(NODE), FIELDS, None, hosts) is None
    assert seen(service_name(NODE), FIELDS, 1, []) is None
    assert seen(service_name(NODE), {**FIELDS, "v": "x"}, 1, hosts) is None
    assert seen(service_name(NODE), {**FIELDS, "s": "\x1b[31m"}, 1, hosts) is None


@given(
    st.dictionaries(st.sampled_from("vsaik"), st.none() | st.text(max_size=40)),
    st.none() | st.integers(0, 65535),
    st.lists(st.ip_addresses().map(str) | st.from_regex(r"fe80::[0-9a-f]{1,4}%[0-9]{1,3}", fullmatch=True)),
)
def test_whatever_is_claimed_what_is_seen_can_be_printed_and_dialled(
    fields: dict[str, str | None], port: int | None, hosts: list[str]
) -> None:
    other = seen(service_name(NODE), fields, port, hosts)
    if other:
        assert str(other).isprintable() and 0 < len(other.addresses) <= MOST_ADDRESSES
        assert all(not IPv6Address(a.host).is_link_local or "%" in a.host for a in other.addresses if ":" in a.host)


def test_the_swarm_tag_is_no_swarm_id() -> None:
    assert swarm_tag("swarm one") == swarm_tag("swarm one") != swarm_tag("swarm two")
    assert len(swarm_tag("swarm one")) == 8

"""What nodes tell a network about themselves: enough to be found, nothing of their owner. Pure.

The TXT record of `NODE._hivemind._tcp.local.` has short fields (RFC 6763): v protocol, s swarm tag, a alone, i invite
tag, k swarm key tag. Everything in one is a stranger's claim: a hint whom to ask, never who somebody is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address

SERVICE = "_hivemind._tcp.local."
PROTOCOL = 1

# A machine has few addresses; more in one announcement would be an attempt to have others dialled.
MOST_ADDRESSES = 16

_NODE = re.compile(r"[a-z2-7]{20}")
_TAG = re.compile(r"[0-9a-f]{1,16}")
_SWARM_TAG_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Announcement:
    """What this node says; `host` where it listens on one address alone."""

    port: int
    swarm_tag: str
    alone: bool
    invite_tag: str | None = None
    key_tag: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A node that announces itself, and where it may be reached."""

    node: NodeId
    swarm_tag: str
    alone: bool
    invite_tag: str | None
    key_tag: str | None
    addresses: tuple[Address, ...]
    protocol: int


def swarm_tag(swarm_id: str) -> str:
    """What is announced of a swarm: members know it again, others learn nothing of the id."""
    return hashlib.sha256(b"swarm " + swarm_id.encode()).hexdigest()[:_SWARM_TAG_CHARACTERS]


def service_name(node: NodeId) -> str:
    """The name of the node's service instance."""
    return f"{node}.{SERVICE}"


def properties(announcement: Announcement) -> dict[str, str]:
    """The fields of the TXT record."""
    fields = {
        "v": str(PROTOCOL),
        "s": announcement.swarm_tag,
        "a": "1" if announcement.alone else "0",
        "i": announcement.invite_tag,
        "k": announcement.key_tag,
    }
    return {name: value for name, value in fields.items() if value is not None}


def seen(name: str, fields: Mapping[str, str | None], port: int | None, hosts: Iterable[str]) -> Seen | None:
    """The node of a service instance; None for what no node says, or says nowhere."""
    node, _, service = name.partition(".")
    protocol, tag = fields.get("v") or "", fields.get("s") or ""
    if service != SERVICE or not _NODE.fullmatch(node) or not protocol.isdecimal() or not _TAG.fullmatch(tag):
        return None
    addresses = _addresses(hosts, port) if port else ()
    if not addresses:
        return None
    invite, key = _tag(fields.get("i")), _tag(fields.get("k"))
    return Seen(NodeId(node), tag, fields.get("a") == "1", invite, key, addresses, int(protocol[:4]))


def _tag(text: str | None) -> str | None:
    return text if text and _TAG.fullmatch(text) else None


def _addresses(hosts: Iterable[str], port: int) -> tuple[Address, ...]:
    """Those that can be dialled from here, IPv4 first; a link-local one only with its zone."""
    usable = {host for host in hosts if "%" in host or not host.lower().startswith("fe80:")}
    return tuple(Address(host, port) for host in sorted(usable, key=lambda host: (":" in host, host))[:MOST_ADDRESSES])

"""This machine's addresses as they are now: what to announce, and through which interfaces to speak."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

import ifaddr


@dataclass(frozen=True, slots=True)
class Interfaces:
    """`addresses` are announced; `multicast` names one way out each: an IPv4 address, or an interface for IPv6."""

    addresses: tuple[str, ...]
    multicast: tuple[str | int, ...]


def present() -> Interfaces:
    """What the system has at this moment; loopback only where there is nothing else."""
    adapters = ifaddr.get_adapters()
    found = _of(adapters, loopback=False)
    return found if found.addresses else _of(adapters, loopback=True)


def _of(adapters: Iterable[ifaddr.Adapter], loopback: bool) -> Interfaces:
    addresses: set[str] = set()
    ways: dict[tuple[int, int | None], str | int] = {}
    for adapter in adapters:
        for ip in adapter.ips:
            # IPv6 comes with flow and scope.
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            if address.is_loopback != loopback or address.is_unspecified:
                continue
            addresses.add(text)
            if address.version == 4:
                ways.setdefault((4, adapter.index), text)
            elif adapter.index is not None and not loopback:
                ways.setdefault((6, adapter.index), adapter.index)
    return Interfaces(tuple(sorted(addresses)), tuple(sorted(ways.values(), key=str)))

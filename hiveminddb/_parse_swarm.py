"""JSON about the swarm and its claims -> dataclasses."""

from __future__ import annotations

from hiveminddb._parse import Json, known
from hiveminddb.swarm import Introduction, Invite, Joined, Lease, Register, SwarmNode, SwarmStatus


def swarm(data: Json) -> SwarmStatus:
    nodes = tuple(known(SwarmNode, one) for one in data.get("nodes", ()))
    return known(SwarmStatus, {**data, "nodes": nodes})


def invite(data: Json) -> Invite:
    return known(Invite, data)


def introduction(data: Json) -> Introduction:
    return known(Introduction, data)


def joined(data: Json) -> Joined:
    return known(Joined, data)


def lease(data: Json) -> Lease:
    return known(Lease, data)


def register(data: Json) -> Register:
    return known(Register, data)

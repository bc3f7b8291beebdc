"""The swarm in words that a person understands. Pure."""

from __future__ import annotations

from datetime import datetime

from hiveminddb.cli.output import amount
from hiveminddb.cli.text import one_line
from hiveminddb.swarm import SwarmNode, SwarmStatus

SHORT = 8
WITH_LESS = "this one came back with less than it had and does not know what it voted"

_AGES = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def summary(swarm: SwarmStatus) -> tuple[str, bool]:
    """One line on who is together and who leads, and whether all is well."""
    if swarm.state == "alone":
        return f"alone, as {one_line(swarm.name) or 'one machine'}; let another in with: hmd invite", True
    machines = amount(len(swarm.nodes), "machine")
    if not swarm.quorum and (refusing := sum(node.refuses for node in swarm.nodes)):
        told = f"{machines}, {refusing} no longer let this one in: they went on without it. Your edits are safe here"
        return f"{told}; hmd swarm recover makes it a swarm of its own, which can join them again", False
    if not swarm.quorum:
        away = sum(not node.online for node in swarm.nodes)
        told = f"{machines}, {away} out of reach: too few to decide. Your edits are safe here and merge later"
        if swarm.barred:
            return f"{told}; {WITH_LESS}: a majority of the others must be reached before it votes again", False
        return f"{told}; leases and membership wait", False
    if swarm.barred:
        return f"{machines}; {WITH_LESS}; it votes again once they have let it, by itself", True
    return f"{machines}, {leading(swarm)} (term {swarm.term})", True


def leading(swarm: SwarmStatus) -> str:
    """Who leads."""
    if swarm.leader is None:
        return "the others decide" if swarm.role == "learner" else "no leader yet"
    if swarm.leader == swarm.node:
        return "this one leads"
    return f"{name_of(swarm, swarm.leader)} leads"


def pending(swarm: SwarmStatus) -> str:
    """What of this machine's own edits has no place in the common order yet, empty where all have."""
    if not swarm.pending:
        return ""
    return f"{amount(swarm.pending, 'edit')} of yours not committed yet, safe here"


def peer(node: SwarmNode, now: datetime) -> tuple[str, bool]:
    """How another machine is, and whether all is well with it."""
    if node.refuses:
        return "does not let this machine in", False
    if node.doubled:
        return "runs twice: its data folder was copied, and both are in use", False
    if not node.online:
        since = f" for {age(node.last_seen, now)}" if node.last_seen else ""
        kept = "it is" if node.lag == 1 else "they are"
        waiting = f": {amount(node.lag, 'edit')} waiting, {kept} safe here" if node.lag else ""
        return f"offline{since}{waiting}", False
    if node.lag is None or node.ahead is None:
        return "comparing", True
    todo = [f"{amount(node.lag, 'edit')} to send"] if node.lag else []
    todo += [f"{amount(node.ahead, 'edit')} to receive"] if node.ahead else []
    return ", ".join(todo) or "up to date", True


def advice(swarm: SwarmStatus) -> str:
    """What to do about machines that cannot be told apart, empty where all can."""
    if not any(node.doubled for node in swarm.nodes):
        return ""
    return (
        "on the copy: hmd down, remove node.key from its data folder, hmd up, then let it join as a machine of its own"
    )


def seen(node: SwarmNode, now: datetime) -> str:
    """When a machine was last heard of."""
    if node.online:
        return "now"
    return f"{age(node.last_seen, now)} ago" if node.last_seen else "not since the start"


def age(at: datetime, now: datetime) -> str:
    """How long something is ago: "3 minutes"."""
    seconds = max((now - at).total_seconds(), 0)
    return next((amount(int(seconds // size), unit) for unit, size in _AGES if seconds >= size), "a moment")


def rows(swarm: SwarmStatus, now: datetime) -> list[tuple[str, ...]]:
    """The table of a swarm, this machine first: name, id, address, role, last seen, how it is."""
    return [
        (
            one_line(node.name) + (" (this one)" if node.id == swarm.node else ""),
            node.id[:SHORT],
            node.address or "-",
            "leader" if node.id == swarm.leader else node.role,
            seen(node, now),
            "-" if node.id == swarm.node else peer(node, now)[0],
        )
        for node in sorted(swarm.nodes, key=lambda node: (node.id != swarm.node, node.name))
    ]


def name_of(swarm: SwarmStatus, id: str) -> str:
    """A node's name, or the beginning of its id."""
    return next((one_line(node.name) for node in swarm.nodes if node.id == id), id[:SHORT])

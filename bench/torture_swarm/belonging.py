"""Who is of the swarm that most are of, and how one that is not gets back into it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from bench.hands.world import Down, Refused
from bench.lab.machine import Machine
from bench.lab.swarm import consensus_of, id_of, join, leave, nodes_of, recover, size, swarm_of


def main_swarm(machines: Sequence[Machine]) -> list[Machine]:
    """Those of one consensus that can decide, the one with the most nodes, which have each other on their lists."""
    together: dict[str, list[Machine]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for machine in machines:
        with suppress(Down, Refused):
            if swarm_of(machine)["quorum"]:
                consensus = consensus_of(machine)
                together[consensus].append(machine)
                sizes[consensus] = max(sizes.get(consensus, 0), size(machine))
    if not sizes:
        return []
    members = together[max(sizes, key=lambda consensus: (sizes[consensus], consensus))]
    with suppress(Down, Refused):
        listed = {node["id"] for node in nodes_of(members[0])}
        return [machine for machine in members if machine is members[0] or id_of(machine) in listed]
    return []


def let_in(machine: Machine, host: Machine) -> None:
    """It joins the swarm of `host`. Raises Down, Refused; RuntimeError where it cannot, or does not know it is out."""
    listed = {node["id"] for node in nodes_of(host)}
    if id_of(machine) in listed and consensus_of(machine) == consensus_of(host):
        raise RuntimeError(f"{machine.name} is of that swarm, and sees no majority just now")
    if size(machine) > 1:
        status = swarm_of(machine)
        if status["quorum"]:
            leave(machine)
        elif any(node["refuses"] for node in status["nodes"]):
            # Put out while it was away; those it belonged to answer it no more.
            recover(machine)
        else:
            raise RuntimeError(f"{machine.name} sees neither a majority nor anybody who refuses it")
    join(machine, host)

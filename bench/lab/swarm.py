"""Machines that are one swarm: how they join, when they are at rest, and what only all of them can decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bench.hands.world import Down, Refused
from bench.lab.machine import ANSWER_SECONDS, Machine, Ran

JOIN_SECONDS = 180.0
QUIET_SECONDS = 1.5
SOON = 3.0


def start(machines: Sequence[Machine]) -> None:
    """All at the same time."""
    for machine in machines:
        if not machine.runs:
            machine.launch()
    for machine in machines:
        machine.ready()


def form(machines: Sequence[Machine]) -> None:
    """Starts all, and lets each join the first by a code. RuntimeError says what did not come about."""
    start(machines)
    for machine in machines[1:]:
        join(machine, machines[0])
    wait_for(lambda: all(_decides(machine, len(machines)) for machine in machines), "all decide together")


def _decides(machine: Machine, nodes: int) -> bool:
    status = swarm_of(machine)
    voters = sum(node["role"] == "voter" for node in status["nodes"]) or 1
    return bool(status["quorum"]) and voters == nodes


def invite(host: Machine) -> str:
    """A one-time code."""
    return str(_done(host, "invite", "--json", "--no-wait").json["code"])


def join(newcomer: Machine, host: Machine) -> None:
    """By a one-time code, as people do it."""
    _done(newcomer, "join", invite(host), "--yes", "--no-wait")


def remove(machine: Machine, by: Machine) -> None:
    """Another node puts it out of the swarm."""
    _done(by, "swarm", "remove", id_of(machine), "--yes")


def leave(machine: Machine) -> None:
    """It goes of its own will, and keeps its copy."""
    _done(machine, "swarm", "leave", "--yes")


def recover(machine: Machine) -> None:
    """Consensus is formed anew around it."""
    _done(machine, "swarm", "recover", "--yes")


def _done(machine: Machine, *words: str) -> Ran:
    ran = machine.hmd(*words)
    if ran.code:
        raise RuntimeError(f"hmd {' '.join(words)} on {machine.name}: {ran.out} {ran.err}; {machine.last_words(1500)}")
    return ran


def id_of(machine: Machine) -> str:
    """Its node id."""
    return str(machine.ask("GET", "/health", root="")["node_id"])


def swarm_of(machine: Machine, seconds: float = ANSWER_SECONDS) -> Mapping[str, Any]:
    """The swarm as this node sees it."""
    status: Mapping[str, Any] = machine.ask("GET", "/swarm", seconds=seconds)
    return status


def consensus_of(machine: Machine) -> str:
    """Which consensus decides for it now: what two of them decide is not of one order. Down where it does not say."""
    try:
        status = swarm_of(machine)
    except Refused as refused:
        raise Down(str(refused)) from refused
    return f"{status['swarm']} {status['epoch']}"


def size(machine: Machine) -> int:
    """How many nodes its swarm has."""
    return len(nodes_of(machine)) or 1


def nodes_of(machine: Machine) -> Sequence[Mapping[str, Any]]:
    nodes: Sequence[Mapping[str, Any]] = swarm_of(machine)["nodes"]
    return nodes


def leader(machines: Sequence[Machine]) -> Machine | None:
    """Who leads, by what those say that can be asked; None where nobody does."""
    for machine in machines:
        try:
            # One that is stopped does not answer at all.
            status = swarm_of(machine, seconds=SOON)
        except (Down, Refused):
            continue
        if status["role"] == "leader" and status["quorum"]:
            return machine
    return None


def unrest(machines: Sequence[Machine]) -> str:
    """What is still going on somewhere; "" where every node has everything, in order and in its files."""
    seen = []
    for machine in machines:
        try:
            status, swarm = machine.ask("GET", "/status"), swarm_of(machine)
        except (Down, Refused) as error:
            return f"{machine.name} does not answer: {error}"
        if status["vault"]["state"] != "mirrored":
            return f"the vault of {machine.name} has stopped: {status['vault']['reason']}"
        if status["pending"]["mirror"]:
            return f"{machine.name} has {status['pending']['mirror']} files to write"
        if len(machines) > 1 and swarm["state"] != "together":
            return f"{machine.name} is {swarm['state']}"
        if swarm["pending"]:
            return f"{swarm['pending']} changes of {machine.name} have no place in the order"
        for node in swarm["nodes"]:
            if node["id"] != swarm["node"] and (not node["online"] or node["lag"] != 0 or node["ahead"] != 0):
                return f"{machine.name} about {node['name']}: {node}"
        seen.append((swarm["seq"], status["changes"], status["memories"]))
    return "" if len(set(seen)) == 1 else f"positions, changes and memories differ: {seen}"


def settle(machines: Sequence[Machine], seconds: float) -> str:
    """Waits until all are at rest and stay so; "" or what still went on when the time was over."""
    end, quiet_since, last = time.monotonic() + seconds, time.monotonic(), -1
    while True:
        reason = unrest(machines)
        changes = -1 if reason else int(machines[0].ask("GET", "/status")["changes"])
        if reason or changes != last:
            last, quiet_since = changes, time.monotonic()
        elif time.monotonic() - quiet_since >= QUIET_SECONDS:
            return ""
        if time.monotonic() > end:
            return reason or "never quiet"
        time.sleep(0.1)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = JOIN_SECONDS) -> float:
    """Seconds until it is so; RuntimeError where it does not come about. No answer counts as not yet."""
    start = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - start
        except (Down, Refused):
            pass
        if time.monotonic() - start > seconds:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Claims:
    """Leases and registers as one node offers them. Every method raises Down and Refusal."""

    machine: Machine

    def lease(self, key: str, holder: str, ttl: float) -> int:
        """The token."""
        body = {"key": key, "holder": holder, "ttl_s": ttl}
        return int(self.machine.ask("POST", "/leases", body)["token"])

    def renew(self, key: str, token: int) -> None:
        self.machine.ask("POST", f"/leases/{quote(key)}/renew", {"token": token})

    def release(self, key: str, token: int) -> None:
        self.machine.ask("POST", f"/leases/{quote(key)}/release", {"token": token})

    def register(self, key: str) -> tuple[int, str]:
        """Version and value; (0, "") where it was never set."""
        try:
            told = self.machine.ask("GET", f"/registers/{quote(key)}?consistency=linearizable")
        except Refused as refusal:
            if getattr(refusal, "status", 0) == 404:
                return 0, ""
            raise
        return int(told["version"]), str(told["value"])

    def set_register(self, key: str, value: str, version: int) -> int:
        """The new version."""
        return int(self.machine.ask("PUT", f"/registers/{quote(key)}", {"value": value, "version": version})["version"])

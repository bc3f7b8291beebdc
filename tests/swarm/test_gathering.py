"""Machines with one swarm key find into one swarm, also where two have formed on two sides of a wall."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.hands.world import Down, Refused
from bench.lab.lab import Lab
from bench.lab.machine import Machine
from tests.waiting import wait_until

KEY = "correct-horse-battery-staple"


def together(machines: Sequence[Machine]) -> bool:
    """Whether each says that these, and no more, are one swarm."""
    try:
        told = [machine.ask("GET", "/swarm") for machine in machines]
    except (Down, Refused):
        return False
    return all(one["state"] == "together" and len(one["nodes"]) == len(machines) for one in told)


def memories(machine: Machine) -> set[str]:
    return {memory["content"] for memory in machine.ask("GET", "/memories")}


def test_two_swarms_of_one_key_become_one_and_every_memory_is_everywhere(laboratory: Callable[[int], Lab]) -> None:
    made = laboratory(4)
    sides = made.machines[:2], made.machines[2:]
    made.lan.partition(*([machine.host for machine in side] for side in sides))
    for machine in made.machines:
        machine.settings["HIVEMIND_SWARM_KEY"] = KEY
        machine.launch()
    for machine in made.machines:
        machine.ready()
    wait_until(lambda: all(together(side) for side in sides))
    for machine in made.machines:
        machine.ask("POST", "/memories", {"content": f"what {machine.name} knows", "topic": "shared"})

    made.lan.heal()
    wait_until(lambda: together(made.machines))
    everything = {f"what {machine.name} knows" for machine in made.machines}
    wait_until(lambda: all(memories(machine) == everything for machine in made.machines))


def test_a_machine_with_another_key_stays_by_itself(laboratory: Callable[[int], Lab]) -> None:
    made = laboratory(3)
    for number, machine in enumerate(made.machines):
        machine.settings["HIVEMIND_SWARM_KEY"] = KEY if number < 2 else KEY.swapcase()
        machine.launch()
    for machine in made.machines:
        machine.ready()
    wait_until(lambda: together(made.machines[:2]))
    assert made.machines[2].ask("GET", "/swarm")["state"] == "alone"

"""A swarm that is cut apart, loses its leader or its majority, and comes together again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.lab.lab import Lab
from bench.lab.machine import Refusal
from bench.lab.swarm import Claims, form, join, leader, recover, swarm_of, wait_for
from tests.swarm.said import add, assert_same, contents
from tests.waiting import wait_until

Laboratory = Callable[[int], Lab]


def test_both_sides_of_a_partition_write_and_end_with_the_same(laboratory: Laboratory) -> None:
    made = laboratory(3)
    one, two, three = made.machines
    form(made.machines)
    add(one, "Ann lives in Rome.", "ann")
    assert_same(made.machines)
    id = next(memory["id"] for memory in one.ask("GET", "/topics/ann")["memories"])
    made.lan.partition([one.host, two.host], [three.host])
    wait_for(lambda: not swarm_of(three)["quorum"], "the minority knows it")
    one.ask("PATCH", f"/memories/{id}", {"replace": {"old": "Ann", "new": "Dear Ann"}})
    three.ask("PATCH", f"/memories/{id}", {"replace": {"old": "Rome", "new": "Rome, Italy"}})
    add(one, "majority", ack="quorum")
    add(three, "minority")
    path = three.vault / "ann.md"
    path.write_text(path.read_text() + "## 2026-01-01 10:00\n\nby hand, in the minority\n\n")
    wait_until(lambda: len(contents(three, "ann")) == 2)
    with pytest.raises(Refusal) as refused:
        Claims(three).lease("printer", "three", 5.0)
    assert refused.value.code == "no_quorum"
    made.lan.heal()
    assert_same(made.machines)
    assert sorted(contents(two)) == ["majority", "minority"]
    assert contents(two, "ann") == ["Dear Ann lives in Rome, Italy.", "by hand, in the minority"]


def test_a_lease_outlives_the_leader_and_has_one_holder(laboratory: Laboratory) -> None:
    machines = laboratory(3).machines
    form(machines)
    wait_for(lambda: leader(machines) is not None, "a leader")
    first = leader(machines)
    assert first is not None
    rest = [machine for machine in machines if machine is not first]
    token = Claims(rest[0]).lease("printer", "ann", 60.0)
    first.kill()
    Claims(rest[0]).renew("printer", token)
    with pytest.raises(Refusal) as refused:
        Claims(rest[1]).lease("printer", "bob", 60.0)
    assert refused.value.code == "conflict"
    Claims(rest[0]).release("printer", token)
    assert Claims(rest[1]).lease("printer", "bob", 60.0) > token
    first.start()
    wait_for(lambda: swarm_of(first)["state"] == "together", "the old leader is back")
    assert_same(machines)


def test_a_lease_that_nobody_renews_ends_and_the_next_token_is_greater(laboratory: Laboratory) -> None:
    machines = laboratory(2).machines
    form(machines)
    one, two = (Claims(machine) for machine in machines)
    token = one.lease("printer", "ann", 0.5)

    def taken() -> int:
        try:
            return two.lease("printer", "bob", 30.0)
        except Refusal:
            return 0

    assert wait_until(taken) > token
    with pytest.raises(Refusal):
        one.renew("printer", token)


def test_a_register_read_elsewhere_is_never_older_than_what_was_set(laboratory: Laboratory) -> None:
    machines = laboratory(3).machines
    form(machines)
    version = 0
    for number in range(30):
        here, there = machines[number % 3], machines[(number + 1) % 3]
        version = Claims(here).set_register("config", f"value {number}", version)
        assert Claims(there).register("config") == (version, f"value {number}")
    with pytest.raises(Refusal) as refused:
        Claims(machines[0]).set_register("config", "too late", version - 1)
    assert refused.value.code == "conflict"


def test_the_last_one_left_recovers_and_one_that_was_given_up_may_join_again(laboratory: Laboratory) -> None:
    machines = laboratory(3).machines
    one, two, three = machines
    form(machines)
    add(one, "of all three", ack="quorum")
    token = Claims(one).lease("printer", "ann", 600.0)
    assert_same(machines)
    two.kill()
    three.kill()
    wait_for(lambda: not swarm_of(one)["quorum"], "one knows that it is alone")
    add(one, "while there was no majority", ack="local")
    before = swarm_of(one)
    recover(one)
    wait_for(lambda: bool(swarm_of(one)["quorum"]), "one decides alone")
    assert swarm_of(one)["swarm"] == before["swarm"] and swarm_of(one)["epoch"] > before["epoch"]
    add(one, "after the recovery", ack="quorum")
    Claims(one).release("printer", token)
    assert Claims(one).lease("printer", "bob", 600.0) > token
    two.start()
    wait_for(lambda: not swarm_of(two)["quorum"], "two is of a swarm that is no more")
    wait_until(lambda: any(node["refuses"] for node in swarm_of(two)["nodes"]))
    assert "h0" not in {node["name"] for node in swarm_of(two)["nodes"] if node["online"]}
    assert "1 no longer let this one in" in two.hmd("swarm").out
    add(two, "by one that was given up", ack="local")
    recover(two)
    join(two, one)
    assert_same([one, two])
    wanted = {"of all three", "while there was no majority", "after the recovery", "by one that was given up"}
    assert set(contents(one)) == wanted


def test_a_machine_that_slept_and_one_with_another_address_find_the_others_again(laboratory: Laboratory) -> None:
    made = laboratory(3)
    one, two, three = made.machines
    form(made.machines)
    assert_same(made.machines)
    two.pause()
    three.host.move("10.77.0.99")
    add(one, "while two slept", ack="local")
    wait_until(lambda: "while two slept" in contents(three))
    two.resume()
    wait_until(lambda: "while two slept" in contents(two))
    assert_same(made.machines)


def test_all_killed_at_once_start_again_with_everything(laboratory: Laboratory) -> None:
    machines = laboratory(3).machines
    form(machines)
    ids = [add(machine, f"{machine.name} {number}", ack="quorum") for number in range(10) for machine in machines]
    for machine in machines:
        machine.kill()
    for machine in machines:
        machine.start()
    assert_same(machines)
    assert len(set(contents(machines[0]))) == len(ids)

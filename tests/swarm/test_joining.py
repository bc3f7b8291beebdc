"""Machines become one swarm, or do not, and cease to be one: real daemons on a LAN of their own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.lab.lab import Lab
from bench.lab.machine import Machine, Refusal
from bench.lab.swarm import consensus_of, form, id_of, invite, join, leave, remove, size, start, swarm_of, wait_for
from tests.swarm.said import add, assert_same, contents, files, memories
from tests.waiting import wait_until

Swarm = Callable[[int], Sequence[Machine]]
PEER_PORT = 8101


def test_two_machines_join_by_a_code_and_have_each_others_memories_and_files(loners: Swarm) -> None:
    one, two = loners(2)
    add(one, "from one", "of one")
    add(two, "from two", "of two")
    join(two, one)
    assert_same([one, two])
    assert contents(two, "of one") == ["from one"] and contents(one, "of two") == ["from two"]
    assert set(files(one)) == {"of-one.md", "of-two.md"}
    add(two, "later", "of one")
    wait_until(lambda: contents(one, "of one") == ["from one", "later"])
    (one.vault / "by hand.md").write_text("# By hand\n\n## 2026-01-02 10:00\n\nwritten in an editor\n")
    wait_until(lambda: files(two).get("by hand.md") == files(one)["by hand.md"])
    assert_same([one, two])


def test_the_same_file_on_both_is_one_file_after_a_join(loners: Swarm) -> None:
    one, two = loners(2)
    text = "# Same\n\n## 2026-01-01 10:00\n\nfirst\n\n## 2026-01-02 10:00\n\nsecond\n\n"
    for machine in (one, two):
        (machine.vault / "same.md").write_text(text)
        wait_until(lambda machine=machine: contents(machine, "same") == ["first", "second"])  # type: ignore[misc]
    (two.vault / "same.md").write_text(text + "## 2026-01-03 10:00\n\nonly on two\n\n")
    wait_until(lambda: len(contents(two, "same")) == 3)
    join(two, one)
    assert_same([one, two])
    assert contents(one, "same") == ["first", "second", "only on two"]
    assert (one.vault / "same.md").read_text() == text + "## 2026-01-03 10:00\n\nonly on two\n\n"


def test_a_code_is_worth_three_tries_and_one_machine(loners: Swarm) -> None:
    one, two, three, four = loners(4)
    first = invite(one)
    number, *words = first.split("-")
    wrong = "-".join([number, *words[1:], words[0]])
    for _ in range(3):
        assert two.hmd("join", wrong, "--yes", "--no-wait").code == 1
    second = invite(one)
    assert three.hmd("join", second, "--yes", "--no-wait").code == 0
    # They look for somebody who answers to the code for a while.
    with ThreadPoolExecutor() as pool:
        late = pool.submit(two.hmd, "join", first, "--yes", "--no-wait")
        used = pool.submit(four.hmd, "join", second, "--yes", "--no-wait")
        assert late.result().code == used.result().code == 1
    assert size(one) == size(three) == 2 and size(two) == size(four) == 1
    join(two, one)
    wait_for(lambda: size(one) == size(two) == size(three) == 3, "a new code is good")


def test_a_stranger_on_the_network_learns_nothing_and_is_not_let_in(laboratory: Callable[[int], Lab]) -> None:
    one, two, stranger = laboratory(3).machines
    stranger.settings["HIVEMIND_PEERS"] = f"{one.host.address}:{PEER_PORT}"
    start([one, two, stranger])
    join(two, one)
    add(one, "a secret", "private")
    assert_same([one, two])
    with one.host.inside(), socket.create_connection((one.host.address, PEER_PORT), 5):
        pass
    with stranger.host.inside(), socket.create_connection((one.host.address, PEER_PORT), 5) as line:
        line.settimeout(180)
        line.sendall(b"GET /api/v1/memories HTTP/1.1\r\nhost: one\r\n\r\n" * 100)
        try:
            assert b"secret" not in line.recv(65536)
        except ConnectionResetError:
            pass
    assert size(one) == 2 and size(stranger) == 1
    assert memories(stranger) == {}
    assert add(one, "still alive", ack="quorum")


def test_a_machine_with_the_swarms_key_joins_by_itself_and_one_with_another_key_does_not(
    laboratory: Callable[[int], Lab],
) -> None:
    one, two, other = laboratory(3).machines
    for machine, key in ((one, "a"), (two, "a"), (other, "b")):
        machine.settings["HIVEMIND_SWARM_KEY"] = key * 32
    start([one, two, other])
    wait_for(lambda: size(one) == size(two) == 2, "two of one key are a swarm")
    add(one, "for those with the key")
    assert_same([one, two])
    assert memories(other) == {}


def test_a_removed_machine_is_refused_at_once_and_may_be_let_in_again(loners: Swarm) -> None:
    one, two, three = loners(3)
    form([one, two, three])
    add(one, "before")
    assert_same([one, two, three])
    remove(three, one)
    assert size(one) == 2
    add(one, "not for three", ack="quorum")
    add(three, "by three alone")
    assert_same([one, two])
    assert "not for three" not in contents(three)
    assert "by three alone" not in contents(one)
    wait_for(lambda: swarm_of(three)["state"] == "alone", "three knows it")
    assert consensus_of(three) != consensus_of(two) == consensus_of(one)
    join(three, one)
    assert consensus_of(three) == consensus_of(two) == consensus_of(one)
    assert_same([one, two, three])
    assert sorted(contents(three)) == ["before", "by three alone", "not for three"]


def test_the_only_machine_that_decides_is_put_out_once_another_can_decide(loners: Swarm) -> None:
    one, two = loners(2)
    join(two, one)
    remove(one, two)
    wait_for(lambda: swarm_of(one)["state"] == "alone" and swarm_of(two)["state"] == "alone", "both are alone")
    assert add(one, "one goes on", ack="quorum") and add(two, "two goes on", ack="quorum")


def test_a_machine_that_leaves_keeps_its_copy_and_goes_on_alone(loners: Swarm) -> None:
    one, two = loners(2)
    join(two, one)
    add(one, "shared")
    assert_same([one, two])
    before = memories(two)
    leave(two)
    wait_for(lambda: swarm_of(one)["state"] == "alone" and swarm_of(two)["state"] == "alone", "both are alone")
    assert memories(two) == before
    assert add(one, "one goes on", ack="quorum") and add(two, "two goes on", ack="quorum")
    assert contents(one) == ["shared", "one goes on"] and contents(two) == ["shared", "two goes on"]
    assert id_of(one) != id_of(two)


def test_a_machine_that_was_away_is_told_what_it_missed_when_it_starts_again(loners: Swarm) -> None:
    one, two = loners(2)
    join(two, one)
    add(one, "both are here")
    assert_same([one, two])
    two.stop()
    missed = [f"missed {number}" for number in range(20)]
    for content in missed:
        assert add(one, content, ack="local")
    try:
        add(one, "no majority", ack="quorum")
    except Refusal as refusal:
        assert refusal.code == "no_quorum"
    two.start()
    wait_until(lambda: set(missed) <= set(contents(two)))
    assert_same([one, two])


def test_who_cannot_tell_the_others_that_it_leaves_is_told_how_to_be_alone_at_once(loners: Swarm) -> None:
    one, two = loners(2)
    form([one, two])
    two.stop()
    left = one.hmd("swarm", "leave", "--yes")
    assert left.code and "hmd swarm recover" in left.err
    assert one.hmd("swarm", "recover", "--yes").code == 0
    assert swarm_of(one)["state"] == "alone"


def test_two_machines_that_leave_each_other_at_the_same_time_are_both_alone(loners: Swarm) -> None:
    one, two = loners(2)
    form([one, two])
    add(one, "of both")
    assert_same([one, two])
    with ThreadPoolExecutor() as pool:
        going = [pool.submit(machine.hmd, "swarm", "leave", "--yes") for machine in (one, two)]
        assert 0 in [each.result().code for each in going]
    for machine in (one, two):
        if size(machine) > 1:
            leave(machine)
        wait_for(lambda machine=machine: size(machine) == 1, "alone")  # type: ignore[misc]
        assert contents(machine) == ["of both"]
        assert add(machine, "alone", ack="quorum")
    join(two, one)
    assert_same([one, two])

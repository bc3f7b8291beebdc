"""A machine's data is brought back from a backup, or a part of it is lost: whatever was written is there in the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.lab.lab import Lab
from bench.lab.machine import Machine, Refusal
from bench.lab.swarm import Claims, form, join, start, swarm_of, wait_for
from tests.swarm.said import add, assert_same, contents, decided

Swarm = Callable[[int], Sequence[Machine]]


def bring_back(machine: Machine, backup: Path, folders: Sequence[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)
        shutil.copytree(backup / folder.name, folder)


def back_up(machine: Machine) -> Path:
    backup = machine.folder / "backup"
    for folder in (machine.data, machine.vault):
        shutil.copytree(folder, backup / folder.name)
    return backup


@pytest.mark.parametrize("what", ["data", "data and vault"])
def test_a_machine_whose_data_is_brought_back_from_a_backup_loses_nothing_written_since(
    loners: Swarm, what: str
) -> None:
    one, two = loners(2)
    form([one, two])
    add(one, "before")
    assert_same([one, two])
    one.stop()
    backup = back_up(one)
    start([one])
    since = [f"since {number}" for number in range(5)]
    for content in since:
        add(one, content)
    assert_same([one, two])
    one.stop()
    two.stop()
    bring_back(one, backup, (one.data, one.vault) if what == "data and vault" else (one.data,))
    start([one])
    for number in range(7):
        add(one, f"by the old copy {number}", ack="local")
    (one.vault / "by hand.md").write_text("# By hand\n\n## 2026-01-02 10:00\n\nwritten meanwhile\n")
    start([two])
    assert_same([one, two])
    assert contents(two, "by hand") == ["written meanwhile"]
    expected = {"before", *since, *(f"by the old copy {number}" for number in range(7))}
    assert set(contents(two)) == set(contents(one)) == expected
    if what == "data and vault":
        # Else entries that the newer files still had are memories of their own beside those that come from the others.
        assert len(contents(one)) == len(expected)
    add(one, "later")
    assert_same([one, two])


def test_a_voter_brought_back_from_a_backup_decides_nothing_against_what_it_decided_since(
    laboratory: Callable[[int], Lab],
) -> None:
    made = laboratory(3)
    one, two, three = made.machines
    form(made.machines)
    add(one, "before")
    assert_same(made.machines)
    one.stop()
    backup = back_up(one)
    start([one])
    wait_for(lambda: all(swarm_of(machine)["state"] == "together" for machine in made.machines), "one is back")
    three.stop()
    token = decided(lambda: Claims(two).lease("printer", "ann", 600.0))
    wait_for(lambda: swarm_of(one)["seq"] == swarm_of(two)["seq"] and swarm_of(one)["quorum"], "one has decided too")
    one.stop()
    two.stop()
    bring_back(one, backup, (one.data, one.vault))
    start([one, three])
    wait_for(lambda: _linked(one) == _linked(three) == 2, "one and three see each other")
    for machine in (one, three):
        with pytest.raises(Refusal) as refused:
            Claims(machine).lease("printer", "bob", 600.0)
        assert refused.value.status == 503
    assert swarm_of(one)["barred"] and swarm_of(one)["state"] == "no_quorum"
    start([two])
    wait_for(lambda: all(map(_is_one_of_three, made.machines)), "all three vote again")
    with pytest.raises(Refusal) as refused:
        decided(lambda: Claims(one).lease("printer", "bob", 600.0))
    assert refused.value.status == 409
    decided(lambda: Claims(three).release("printer", token))
    two.stop()
    assert decided(lambda: Claims(one).lease("printer", "bob", 600.0)) > token
    assert not swarm_of(one)["barred"]


def test_a_voter_brought_back_as_it_was_before_it_joined_is_let_in_again(laboratory: Callable[[int], Lab]) -> None:
    made = laboratory(3)
    one, two, three = made.machines
    start([one])
    add(one, "alone")
    one.stop()
    backup = back_up(one)
    form([two, three, one])
    add(one, "together")
    token = decided(lambda: Claims(one).lease("printer", "ann", 600.0))
    assert_same(made.machines)
    one.stop()
    bring_back(one, backup, (one.data, one.vault))
    start([one])
    add(one, "alone again")
    join(one, two)
    wait_for(lambda: all(map(_is_one_of_three, made.machines)), "all three vote again")
    assert_same(made.machines)
    assert set(contents(three)) == {"alone", "together", "alone again"}
    with pytest.raises(Refusal) as refused:
        decided(lambda: Claims(one).lease("printer", "bob", 600.0))
    assert refused.value.status == 409
    decided(lambda: Claims(three).renew("printer", token))


def test_a_copy_that_runs_beside_its_original_is_seen_and_becomes_a_machine_of_its_own(loners: Swarm) -> None:
    machines = one, two, copy = loners(3)
    copy.stop()
    form([one, two])
    add(one, "before")
    assert_same([one, two])
    one.stop()
    for here, there in ((one.data, copy.data), (one.vault, copy.vault)):
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(here, there)
    start([one, copy])
    wait_for(lambda: any(node["doubled"] for node in swarm_of(two)["nodes"]), "two sees both under one id")
    add(copy, "by the copy", ack="local")
    add(one, "by the original", ack="local")
    copy.stop()
    (copy.data / "node.key").unlink()
    start([copy])
    assert swarm_of(copy)["state"] == "alone"
    assert decided(lambda: Claims(copy).lease("printer", "ann", 600.0))
    join(copy, two)
    assert_same(machines)
    assert sorted(contents(two)) == ["before", "by the copy", "by the original"]


def _gone(log: Path) -> None:
    shutil.rmtree(log.parents[1])


def _cut_short(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:20])


@pytest.mark.parametrize("harm", [_gone, _cut_short])
def test_a_machine_that_has_lost_its_log_of_consensus_starts_and_votes_again(
    loners: Swarm, harm: Callable[[Path], None]
) -> None:
    machines = one, two, three = loners(3)
    add(one, "alone")
    one.stop()
    harm(_log(one))
    start([one])
    add(one, "alone, without the log")
    token = decided(lambda: Claims(one).lease("printer", "ann", 600.0))
    form(machines)
    assert_same(machines)
    two.stop()
    harm(_log(two))
    add(one, "meanwhile", ack="quorum")
    start([two])
    wait_for(lambda: all(map(_is_one_of_three, machines)), "all three vote again")
    three.stop()
    with pytest.raises(Refusal) as refused:
        decided(lambda: Claims(two).lease("printer", "bob", 600.0))
    assert refused.value.status == 409
    decided(lambda: Claims(two).renew("printer", token))
    add(two, "with two of three", ack="quorum")
    start([three])
    assert_same(machines)
    assert set(contents(two)) == {"alone", "alone, without the log", "meanwhile", "with two of three"}


def _log(machine: Machine) -> Path:
    (found,) = (machine.data / "raft").rglob("journal")
    return found


def _linked(machine: Machine) -> int:
    return sum(node["online"] for node in swarm_of(machine)["nodes"])


def _is_one_of_three(machine: Machine) -> bool:
    """Whether it votes, and knows that all do."""
    status = swarm_of(machine)
    votes = status["quorum"] and status["role"] != "learner"
    return votes and [node["role"] for node in status["nodes"]] == ["voter"] * 3

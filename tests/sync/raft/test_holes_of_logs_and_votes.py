"""The holes 1 to 10 of pysyncobj as it is published, each by its number in DESIGN.md, and that it is closed here."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pysyncobj.version import VERSION

from hiveminddb.errors import NoQuorum, OutcomeUnknown, StorageError
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import (
    Acknowledge,
    Append,
    AskVote,
    HandOver,
    Message,
    Part,
    Probe,
    Probed,
    Taken,
    Vote,
)
from hiveminddb.sync.raft.engine import PINNED
from hiveminddb.sync.raft.journal import Base
from hiveminddb.sync.raft.snapshot import Snapshot
from tests.sync.raft.logs import append
from tests.sync.raft.power import PowerLost
from tests.sync.raft.stage import Stage, candidate


def test_pinned_this_room_is_made_for_one_version_of_pysyncobj() -> None:
    assert VERSION == PINNED == "0.3.17"
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert f"pysyncobj=={PINNED}" in project["dependencies"]
    code = "import pysyncobj.version as v; v.VERSION = '0.3.18'; import hiveminddb.sync.raft.engine"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "made for 0.3.17 alone" in run.stderr


def test_hole_1_term_and_vote_are_on_disk_before_the_vote_leaves() -> None:
    stage = Stage("abc")
    stage.time += 10
    assert stage.tell("a", "b", AskVote(5, 0, 0, False)) == [Vote(5)]
    stage.power_cut("a")
    stage.time += 10
    assert stage.replicas["a"].voter.engine.term == 5
    assert stage.tell("a", "c", AskVote(5, 0, 0, False)) == []
    assert stage.tell("a", "b", AskVote(5, 0, 0, False)) == [Vote(5)]


def test_hole_2_acknowledged_entries_outlive_a_power_cut() -> None:
    stage = Stage("abc")
    assert stage.tell("a", "b", append(3, (0, 0), 50)) == [Acknowledge(3, 1, True, 50)]
    journal = stage.power_cut("a").voter.journal
    assert (journal.last_index, journal.last_term, journal.getCurrentTerm()) == (50, 3, 3)


@pytest.mark.parametrize("calls", range(3))
def test_hole_3_a_crash_while_the_log_is_cut_loses_none_of_it(calls: int) -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 50, commit=40))
    stage.disks["a"].cuts = calls
    try:
        stage.replicas["a"].compact(applied=40, most_entries=10)
    except PowerLost:
        stage.power_cut("a")
    journal = stage.replicas["a"].voter.journal
    assert journal.base_index in (0, 40) and journal.last_index == 50
    assert [index for _, index, _ in journal.between(41, 50)] == list(range(41, 51))
    assert journal.getCurrentTerm() == 1


def snapshot_parts(index: int, term: int, state: bytes, leader_term: int) -> list[Message]:
    snapshot = Snapshot(Base(index, term, frozenset(map(NodeId, "abc"))), state)
    return [snapshot.part(offset, leader_term, 1, 100) for offset in range(0, max(1, len(state)), 1 << 20)]


@pytest.mark.parametrize("calls", range(6))
def test_hole_4_a_crash_while_a_snapshot_is_installed_clears_no_log(calls: int) -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 10, commit=5))
    stage.disks["a"].cuts = calls
    try:
        stage.tell("a", "b", *snapshot_parts(8, 1, b"state", 1))
        stage.applied["a"] = 8
        stage.replicas["a"].installed()
    except PowerLost:
        stage.power_cut("a")
    journal = stage.replicas["a"].voter.journal
    assert journal.base_index in (0, 8)
    assert journal.last_index == 10, "the entries behind the snapshot's were acknowledged"


def test_hole_4_the_log_cannot_be_cleared_in_place() -> None:
    journal = Stage("abc").replicas["a"].voter.journal
    with pytest.raises(StorageError):
        journal.clear()
    with pytest.raises(StorageError):
        journal.deleteEntriesTo(0)


def test_hole_5_a_delayed_duplicate_does_not_shorten_the_log() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 9))
    assert stage.tell("a", "b", append(1, (0, 0), 4)) == [Acknowledge(1, 1, True, 4)]
    assert stage.tell("a", "b", append(1, (3, 1), 3)) == [Acknowledge(1, 1, True, 3)]
    assert stage.replicas["a"].voter.journal.last_index == 9


def test_hole_5_only_a_conflict_cuts_and_never_what_is_committed() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 9, commit=6))
    assert stage.tell("a", "c", append(2, (7, 1), 8)) == [Acknowledge(2, 1, True, 8)]
    assert stage.replicas["a"].voter.journal.last_term == 2
    with pytest.raises(StorageError, match="committed"):
        stage.tell("a", "b", append(3, (4, 1), 6))
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 9, commit=6))
    with pytest.raises(StorageError, match="committed"):
        stage.tell("a", "c", append(3, (5, 2), 6))


def test_hole_6_an_acknowledgement_says_what_the_message_proved() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 9))
    assert stage.tell("a", "c", Append(2, 7, 4, 1, 9, 100, ())) == [Acknowledge(2, 7, True, 4)]
    voter = stage.replicas["a"].voter
    assert (voter.engine.commit, voter.journal.last_index) == (4, 9)


def test_hole_6_a_snapshot_that_is_damaged_is_not_acknowledged() -> None:
    stage = Stage("abc")
    (part,) = snapshot_parts(8, 1, b"state", 1)
    assert isinstance(part, Part)
    damaged = Part(1, 1, 100, 8, 1, part.voters, part.size, part.checksum, 0, b"staTe")
    assert stage.tell("a", "b", damaged) == [Taken(1, 1, 8, 5)]
    assert stage.replicas["a"].installing is None


def test_hole_7_a_stale_snapshot_changes_nothing() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(1, (0, 0), 9, commit=6))
    assert stage.tell("a", "b", *snapshot_parts(6, 1, b"state", 1)) == [Acknowledge(1, 1, True, 6)]
    assert stage.replicas["a"].installing is None
    assert stage.replicas["a"].voter.journal.last_index == 9


def test_a_node_that_installs_a_snapshot_is_alive_and_claims_nothing() -> None:
    stage = Stage("abc")
    assert stage.tell("a", "b", *snapshot_parts(8, 1, b"state", 1)) == [Taken(1, 1, 8, 5)]
    assert stage.tell("a", "b", append(1, (8, 1), 9, number=5)) == [Acknowledge(1, 5, True, 0)]
    stage.replicas["a"].installed()
    assert stage.tell("a", "b", append(1, (8, 1), 9, number=6)) == [
        Acknowledge(1, 1, True, 8),
        Acknowledge(1, 6, True, 9),
    ]


def test_hole_8_a_vote_counts_once_and_only_a_voters() -> None:
    stage = Stage("abcde", "abcdex")
    term = candidate(stage, "a")
    stage.tell("a", "b", Vote(term), Vote(term))
    stage.tell("a", "b", Vote(term))
    stage.tell("a", "x", Vote(term))
    stage.tell("a", "c", Vote(term + 1), Vote(term - 1))
    assert stage.replicas["a"].role == "candidate"
    stage.tell("a", "d", Vote(term))
    assert stage.replicas["a"].role == "leader"


def test_hole_9_a_huge_term_does_not_depose_a_live_leader() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(3, (0, 0), 2))
    assert stage.tell("a", "c", AskVote(1 << 40, 99, 3, False)) == []
    assert stage.tell("a", "c", Probe(1, 1 << 40, 99, 3)) == [Probed(1, 3, False)]
    assert stage.replicas["a"].voter.engine.term == 3
    leader = Stage("abc")
    leader.elect("a")
    assert leader.tell("a", "c", AskVote(1 << 40, 99, 3, False)) == []
    assert leader.replicas["a"].role == "leader"


def test_hole_9_who_cannot_win_does_not_raise_the_term() -> None:
    stage = Stage("abc")
    for _ in range(600):
        stage.time += 0.1
        assert all(isinstance(message, Probe) for message in stage.tell("a", "b"))
    assert stage.replicas["a"].voter.engine.term == 0


def test_hole_9_strangers_are_heard_only_with_a_longer_log() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(3, (0, 0), 2))
    stage.time += 10
    assert stage.tell("a", "x", AskVote(9, 2, 3, False)) == []
    assert stage.tell("a", "x", Probe(1, 9, 2, 3)) == []
    assert stage.replicas["a"].voter.engine.term == 3
    assert stage.tell("a", "x", AskVote(9, 3, 3, False)) == [Vote(9)], "it may know of newer voters"


def test_hole_9_a_strangers_acknowledgement_counts_for_nothing() -> None:
    stage = Stage("abc", "abcx")
    leader = stage.elect("a")
    outcomes = stage.propose("a", b"one")
    term, last = leader.voter.engine.term, leader.voter.journal.last_index + 1
    stage.tell("a", "x", Acknowledge(term, 9, True, last), Acknowledge(term + 5, 9, False, 1))
    assert outcomes == [] and leader.voter.engine.commit < last and leader.role == "leader"


def test_hole_9_the_leader_itself_may_name_a_successor() -> None:
    stage = Stage("abc")
    stage.elect("a")
    stage.replicas["a"].hand_over(NodeId("b"))
    stage.carry()
    assert stage.replicas["b"].role == "leader" and stage.replicas["a"].role == "follower"
    term = stage.replicas["b"].voter.engine.term
    assert stage.tell("c", "a", HandOver(term)) == [], "only the leader's word counts"


def test_hole_10_a_leader_without_a_majority_falls_back_and_says_what_it_does_not_know() -> None:
    stage = Stage("abc")
    leader = stage.elect("a")
    appended = stage.propose("a", b"perhaps")
    leader.step()
    stage.time += 0.9
    leader.step()
    assert leader.role == "follower" and not leader.has_quorum
    waiting = stage.propose("a", b"surely not")
    stage.time += 6
    leader.step()
    assert isinstance(appended[0], OutcomeUnknown) and isinstance(waiting[0], NoQuorum)


def test_hole_10_a_leader_whose_links_are_gone_takes_nothing_more() -> None:
    stage = Stage("abc")
    leader = stage.elect("a")
    leader.peer_down(NodeId("b"))
    leader.peer_down(NodeId("c"))
    outcomes = stage.propose("a", b"no", seconds=0.2)
    leader.step()
    last = leader.voter.journal.last_index
    stage.time += 0.3
    leader.step()
    assert isinstance(outcomes[0], NoQuorum) and leader.voter.journal.last_index == last

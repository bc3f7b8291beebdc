"""The holes of pysyncobj as it is published, each by the number it has in DESIGN.md, and that it is closed here."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pysyncobj import syncobj
from pysyncobj.version import VERSION

from hiveminddb.errors import Conflict, InvalidFrame, NoQuorum, OutcomeUnknown, StorageError
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import (
    COMMAND,
    LARGEST_COMMAND,
    NO_OP,
    Acknowledge,
    Append,
    AskVote,
    HandOver,
    Message,
    Part,
    Probe,
    Probed,
    Request,
    Taken,
    Together,
    Vote,
    decode,
    encode,
    encode_voters,
)
from hiveminddb.sync.raft.engine import BATCH_BYTES, PINNED, Engine
from hiveminddb.sync.raft.journal import Base, Journal
from hiveminddb.sync.raft.requests import Kind
from hiveminddb.sync.raft.snapshot import Snapshot
from tests.sync.raft.power import Disk, PowerLost
from tests.sync.raft.stage import Stage


def entries(first: int, last: int, term: int, size: int = 1) -> tuple[tuple[bytes, int, int], ...]:
    return tuple((COMMAND + bytes(size), index, term) for index in range(first, last + 1))


def append(term: int, previous: tuple[int, int], last: int, commit: int = 0, number: int = 1) -> Append:
    """From a leader of `term`: entries of that term behind (index, term)."""
    return Append(term, number, *previous, commit, 100, entries(previous[0] + 1, last, term))


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


def candidate(stage: Stage, name: str) -> int:
    """A candidate in its first term, which has asked for votes and got none yet."""
    replica = stage.replicas[name]
    stage.time += 10
    replica.voter.election.due = stage.time
    probes = [message for message in stage.tell(name, "b") if isinstance(message, Probe)]
    for peer in "bcd"[: len(stage.voters) // 2]:
        stage.tell(name, peer, Probed(probes[0].round, 0, True))
    assert replica.role == "candidate"
    return replica.voter.engine.term


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


def test_hole_11_one_change_of_voters_at_a_time() -> None:
    stage = Stage("abcd")
    stage.elect("a")
    removed = stage.ask("a", Kind.REMOVE, b"b")
    stage.replicas["a"].step()
    again = stage.ask("a", Kind.REMOVE, b"c")
    stage.replicas["a"].step()
    assert removed == [] and isinstance(again[0], Conflict)
    assert stage.replicas["a"].voter.voters == frozenset("acd")
    stage.carry()
    assert isinstance(removed[0], int)


def test_hole_11_no_change_before_the_leaders_own_entry_is_committed() -> None:
    stage = Stage("abc")
    term = candidate(stage, "a")
    stage.tell("a", "b", Vote(term))
    outcomes = stage.ask("a", Kind.REMOVE, b"c")
    stage.replicas["a"].step()
    assert stage.replicas["a"].voter.leading and stage.replicas["a"].voter.voters == frozenset("abc")
    stage.tell("a", "b", Acknowledge(term, 1, True, 1))
    stage.time += 0.05
    stage.replicas["a"].step()
    assert stage.replicas["a"].voter.voters == frozenset("ab") and outcomes == []


def test_hole_11_the_configuration_is_in_the_log_and_in_its_head_from_the_first_moment() -> None:
    stage = Stage("abc")
    config = (encode_voters(frozenset(map(NodeId, "abcd"))), 4, 1)
    stage.tell("a", "b", Append(1, 1, 0, 0, 4, 100, (*entries(1, 3, 1), config, *entries(5, 9, 1))))
    assert stage.replicas["a"].voter.voters == frozenset("abcd")
    assert stage.power_cut("a").voter.voters == frozenset("abcd")
    stage.tell("a", "b", Append(1, 2, 9, 1, 9, 100, ()))
    stage.replicas["a"].compact(applied=9, most_entries=5)
    assert stage.replicas["a"].voter.journal.base == (9, 1, frozenset("abcd"))
    assert stage.power_cut("a").voter.voters == frozenset("abcd")


def test_hole_11_a_configuration_that_is_cut_off_does_not_hold() -> None:
    stage = Stage("abc")
    config = (encode_voters(frozenset(map(NodeId, "ab"))), 4, 1)
    stage.tell("a", "b", Append(1, 1, 0, 0, 3, 100, (*entries(1, 3, 1), config)))
    assert stage.replicas["a"].voter.voters == frozenset("ab")
    stage.tell("a", "c", append(2, (3, 1), 4))
    assert stage.replicas["a"].voter.voters == frozenset("abc")
    assert stage.power_cut("a").voter.voters == frozenset("abc")


def test_hole_12_a_forwarded_command_always_has_an_outcome() -> None:
    stage = Stage("abc")
    stage.elect("a")
    broken = stage.propose("b", b"one")
    stage.replicas["b"].step()
    stage.replicas["b"].peer_down(NodeId("a"))
    stage.replicas["b"].step()
    assert isinstance(broken[0], OutcomeUnknown)
    silent = stage.propose("c", b"two", seconds=1)
    stage.replicas["c"].step()
    stage.time += 1.1
    stage.replicas["c"].step()
    assert isinstance(silent[0], OutcomeUnknown)


def test_hole_12_a_request_that_comes_twice_is_decided_once() -> None:
    stage = Stage("abc")
    stage.elect("a")
    request = Together((Request(7, 1, 1000, Kind.PROPOSE, b"once"),), ())
    stage.replicas["a"].received(NodeId("b"), encode(request))
    stage.replicas["a"].received(NodeId("b"), encode(request))
    stage.carry()
    assert stage.commands("c") == [b"once"]


@pytest.mark.parametrize("size", [(1 << 16) - 20, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 131072, LARGEST_COMMAND])
def test_hole_13_commands_of_every_size_replicate(size: int) -> None:
    assert LARGEST_COMMAND + 1 < BATCH_BYTES, "pysyncobj would cut it into pieces, and the last one wrong"
    stage = Stage("abc")
    stage.elect("a")
    outcomes = stage.propose("a", b"x" * size, b"y", b"z" * size)
    stage.carry()
    assert all(isinstance(outcome, int) for outcome in outcomes)
    assert [len(command) for command in stage.commands("b")] == [size, 1, size]


def test_hole_14_a_conflicting_tail_and_a_backlog_converge_without_resending() -> None:
    stage = Stage("abc")
    for count in range(4):
        # Four leaderships of `a` that reach nobody: a tail of four terms.
        stage.elect("a")
        stage.propose("a", *(b"lost %d" % number for number in range(50)))
        for _ in range(3):
            stage.replicas["a"].step()
        stage.tray.clear()
        stage.time += 1
        stage.replicas["a"].step()
        assert stage.replicas["a"].role == "follower", count
    held = stage.replicas["a"].voter.journal.last_index
    stage.elect("b", without="a")
    outcomes = stage.propose("b", *(b"kept" + bytes(10_000) for _ in range(600)))
    stage.carry(without="a")
    assert len(outcomes) == 600 and held > 200
    stage.time += 0.2
    assert stage.carry() < 40
    assert stage.commands("a") == stage.commands("b")


def test_hole_14_what_is_on_its_way_is_not_sent_again() -> None:
    stage = Stage("ab")
    leader = stage.elect("a")
    sent = 0
    for _ in range(50):
        stage.propose("a", bytes(1000))
        leader.step()
        sent += sum(len(message.entries) for _, _, message in stage.tray if isinstance(message, Append))
        # Only the first message of each round is answered before the next is sent.
        tray, stage.tray = stage.tray, []
        for source, target, message in tray:
            stage.replicas[target].received(NodeId(source), encode(message))
        stage.propose("a", bytes(1000))
        leader.step()
        sent += sum(len(message.entries) for _, _, message in stage.tray if isinstance(message, Append))
        stage.replicas["b"].step()
        tray, stage.tray = stage.tray, []
        for source, target, message in tray:
            stage.replicas[target].received(NodeId(source), encode(message))
    assert sent == 100


def test_hole_15_consensus_runs_no_command() -> None:
    """Whatever its bytes are: pysyncobj is shown none that it would act on; the machine alone reads them."""
    stage = Stage("abc")
    stage.elect("a")
    hostile = [b"\x00" * 5, b"\x01", b"\x02\x80\x02.", b"\x03cos\nsystem\n", b"\x05\x91\xa1x"]
    stage.propose("b", *hostile)
    stage.carry()
    assert stage.commands("c") == hostile and stage.replicas["c"].voter.voters == frozenset("abc")


@pytest.mark.parametrize("stored", [b"\x00x", b"\x01x", b"\x02x", b"\x03x", b"\x05", b"\x05\xc0", b"\x05\x90", b"\x06"])
def test_hole_16_entries_of_pysyncobjs_own_kinds_are_refused(stored: bytes) -> None:
    with pytest.raises(InvalidFrame):
        decode(encode(Append(1, 1, 0, 0, 0, 100, ((stored, 1, 1),))))
    decode(encode(Append(1, 1, 0, 0, 0, 100, ((NO_OP, 1, 1),))))


def test_hole_16_nothing_is_pickled_and_nobody_administrates() -> None:
    with pytest.raises(RuntimeError):
        syncobj.pickle.loads(b"")
    with pytest.raises(RuntimeError):
        syncobj.pickle.dumps(1)
    disk = Disk(Stage("a").chance)
    engine = Engine(NodeId("a"), Journal(disk, Base(0, 0, frozenset({NodeId("a")}))), lambda peer, message: None)
    assert engine._mailbox._onUtilityMessageCallbacks == {}


def test_hole_17_a_voter_is_its_node_id_wherever_it_is() -> None:
    stage = Stage("abc")
    leader = stage.elect("a")
    for replica, peer in ((leader, "b"), (stage.replicas["b"], "a")):
        replica.peer_down(NodeId(peer))
    stage.carry(without="b")
    for replica, peer in ((leader, "b"), (stage.replicas["b"], "a")):
        replica.peer_up(NodeId(peer))
    outcomes = stage.propose("a", b"there again")
    stage.time += 0.2
    stage.carry(without="c")
    assert isinstance(outcomes[0], int) and stage.commands("b") == [b"there again"]


def test_hole_18_a_commit_waits_for_no_tick() -> None:
    stage = Stage("abc")
    stage.elect("a")
    now = stage.time
    outcomes = stage.propose("c", b"at once")
    stage.carry_now()
    assert stage.time == now and isinstance(outcomes[0], int)
    assert stage.commands("a") == stage.commands("c") == [b"at once"], "who asked, and the leader"
    stage.carry()
    assert stage.commands("b") == [b"at once"]


def test_a_shorter_log_is_not_probed_well() -> None:
    stage = Stage("abc")
    stage.tell("a", "b", append(3, (0, 0), 2))
    stage.time += 10
    assert stage.tell("a", "c", Probe(1, 9, 1, 3)) == [Probed(1, 3, False)]
    assert stage.tell("a", "c", Probe(2, 9, 2, 3)) == [Probed(2, 3, True)]


def test_hole_19_a_peer_far_behind_gets_the_machines_state_in_pieces() -> None:
    stage = Stage("abc")
    leader = stage.elect("a", without="c")
    stage.propose("a", *(b"%d" % number for number in range(100)))
    stage.carry(without="c")
    stage.time += 2
    leader.step()
    stage.tray.clear()
    for _ in range(2):
        leader.compact(applied=stage.applied["a"], most_entries=10)
    assert leader.voter.journal.base_index == stage.applied["a"]
    stage.time += 0.5
    stage.carry(without="c")
    stage.replicas["c"].step()
    stage.time += 0.1
    leader.step()
    stage.carry(rounds=50)
    assert leader.snapshot_wanted
    leader.offer(stage.applied["a"], bytes(range(256)) * 10_000)
    stage.carry(rounds=50)
    installing = stage.replicas["c"].installing
    assert installing is not None and installing.state == bytes(range(256)) * 10_000
    stage.replicas["c"].installed()
    outcomes = stage.propose("a", b"after")
    stage.carry()
    assert isinstance(outcomes[0], int) and stage.commands("c") == [b"after"]


def test_who_comes_back_with_less_than_it_had_acknowledged_is_sent_it_again() -> None:
    stage = Stage("abc")
    leader = stage.elect("a")
    stage.propose("a", b"1")
    stage.carry()
    former, applied, delivered = copy.deepcopy(stage.disks["b"]), stage.applied["b"], list(stage.delivered["b"])
    stage.propose("a", b"2", b"3")
    stage.carry()
    stage.disks["b"], stage.applied["b"], stage.delivered["b"] = former, applied, delivered
    leader.peer_down(NodeId("b"))
    stage.start("b")
    leader.peer_up(NodeId("b"))
    outcomes = stage.propose("a", b"4")
    stage.carry(without="c")
    assert stage.commands("b") == [b"1", b"2", b"3", b"4"]
    assert len(outcomes) == 1


def test_a_leader_gives_no_state_from_before_it_knew_who_votes() -> None:
    stage = Stage("abc")
    stage.elect("a")
    stage.propose("a", b"1")
    stage.carry()
    stage.disks["d"] = Disk(stage.chance)
    Journal(stage.disks["d"], Base(0, 0, frozenset()))
    stage.delivered["d"], stage.applied["d"] = [], 0
    stage.start("d")
    for name in "abc":
        stage.replicas[name].peer_up(NodeId("d"))
    stage.ask("a", Kind.ADD, b"d")
    stage.carry()
    stage.propose("a", b"2")
    stage.carry()
    leader = stage.elect("d")
    assert leader.voter.voters == set("abcd")
    assert not leader.offer(1, b"before")
    assert leader.voter.leadership and leader.voter.leadership.snapshot is None
    assert leader.offer(stage.applied["d"], b"after")
    assert leader.voter.leadership.snapshot and leader.voter.leadership.snapshot.base.voters == set("abcd")

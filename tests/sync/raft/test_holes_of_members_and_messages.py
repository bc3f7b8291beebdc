"""The holes 11 to 19 of pysyncobj as it is published, each by its number in DESIGN.md, and that it is closed here."""

from __future__ import annotations

import copy

import pytest
from pysyncobj import syncobj

from hiveminddb.errors import Conflict, InvalidFrame, OutcomeUnknown
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import (
    LARGEST_COMMAND,
    NO_OP,
    Acknowledge,
    Append,
    Probe,
    Probed,
    Request,
    Together,
    Vote,
    decode,
    encode,
    encode_voters,
)
from hiveminddb.sync.raft.engine import BATCH_BYTES, Engine
from hiveminddb.sync.raft.journal import Base, Journal
from hiveminddb.sync.raft.requests import Kind
from tests.sync.raft.logs import append, entries
from tests.sync.raft.power import Disk
from tests.sync.raft.stage import Stage, candidate


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

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from hiveminddb.errors import (
    Conflict,
    Corrupt,
    DiskFull,
    InvalidFrame,
    InvalidInput,
    NoQuorum,
    OutcomeUnknown,
    TooLarge,
)
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.consensus import Consensus, View
from hiveminddb.sync.raft.journal import Base
from hiveminddb.sync.raft.replica import Committed
from hiveminddb.sync.raft.snapshot import Snapshot, to_file
from tests.sync.raft.lan import Lan, ListMachine, Plug, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lan(tmp_path: Path) -> AsyncIterator[Lan]:
    lan = Lan(tmp_path)
    try:
        yield lan
    finally:
        await lan.stop_all()


async def start_all(lan: Lan, names: str) -> NodeId:
    for name in names:
        await lan.start(name, names)
    return await lan.leader()


async def test_a_voter_alone_decides(lan: Lan) -> None:
    alone = await lan.start("a", "a")
    index = await alone.propose(b"one", 5)
    assert await alone.barrier(5) >= index
    assert lan.machines[NodeId("a")].commands == [b"one"]
    assert alone.view.role == "leader" and alone.view.has_quorum


async def test_three_elect_one_and_commands_from_all_are_in_one_order(lan: Lan) -> None:
    await start_all(lan, "abc")
    await asyncio.gather(
        *(node.propose(f"{n}-{name}".encode(), 10) for n in range(50) for name, node in lan.nodes.items())
    )
    commands = lan.machines[await lan.leader()].commands
    assert len(set(commands)) == len(commands) == 150
    await lan.same(commands)


async def test_what_was_decided_is_there_after_a_restart_of_all(lan: Lan) -> None:
    await start_all(lan, "abc")
    await asyncio.gather(*(lan.nodes[NodeId("a")].propose(b"%d" % n, 10) for n in range(20)))
    commands = list(lan.machines[NodeId("a")].commands)
    await lan.same(commands)
    terms = [node.view.term for node in lan.nodes.values()]
    await lan.stop_all()
    await start_all(lan, "abc")
    assert min(node.view.term for node in lan.nodes.values()) > min(terms)
    await lan.nodes[NodeId("b")].propose(b"after", 10)
    await lan.same([*commands, b"after"])


async def test_a_machine_that_lags_behind_the_log_is_told_again_from_where_it_stands(lan: Lan) -> None:
    alone = await lan.start("a", "a")
    indexes = [await alone.propose(b"%d" % n, 5) for n in range(10)]
    await lan.stop("a")
    machine = lan.machines[NodeId("a")]
    machine.applied, machine.commands = indexes[3], machine.commands[:4]
    await lan.start("a", "a")
    await until(lambda: machine.commands == [b"%d" % n for n in range(10)])


async def test_the_rest_goes_on_when_the_leader_stops(lan: Lan) -> None:
    first = await start_all(lan, "abc")
    await lan.nodes[first].propose(b"before", 10)
    await lan.stop(first)
    left = "".join(lan.nodes)
    assert await lan.leader(left) != first
    await lan.nodes[NodeId(left[0])].propose(b"after", 10)
    await lan.start(first, "abc")
    await lan.same([b"before", b"after"])


async def test_a_minority_says_no_quorum_and_has_proposed_nothing(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    for follower in set(lan.nodes) - {leader}:
        await lan.stop(follower)
    with pytest.raises(NoQuorum):
        await lan.nodes[leader].propose(b"lost", 0.5)
    with pytest.raises(NoQuorum):
        await lan.nodes[leader].barrier(0.1)
    await until(lambda: not lan.nodes[leader].view.has_quorum and lan.nodes[leader].view.role != "leader")
    for name in "abc":
        if NodeId(name) not in lan.nodes:
            await lan.start(name, "abc")
    await lan.leader()
    await lan.nodes[leader].propose(b"found", 10)
    await lan.same([b"found"])


async def test_a_proposal_whose_answer_is_cut_off_has_an_unknown_outcome(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    follower = next(name for name in lan.nodes if name != leader)
    asked = asyncio.create_task(lan.nodes[follower].propose(b"who knows", 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lan.cut(follower, leader)
    with pytest.raises(OutcomeUnknown):
        await asked


async def test_a_voter_comes_and_one_goes(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    await lan.nodes[leader].propose(b"before", 10)
    await lan.start("d", "abc")
    await lan.nodes[NodeId("a")].add_voter(NodeId("d"))
    await until(lambda: all(node.view.voters == frozenset("abcd") for node in lan.nodes.values()))
    goes = next(name for name in "abc" if name != leader)
    await lan.nodes[NodeId("d")].remove_voter(NodeId(goes))
    await until(lambda: all(len(node.view.voters) == 3 for node in lan.nodes.values()))
    assert lan.nodes[NodeId(goes)].view.role == "learner"
    await lan.nodes[NodeId("d")].propose(b"after", 10)
    await until(lambda: lan.machines[NodeId("d")].commands == [b"before", b"after"])


async def test_a_leader_that_is_to_go_hands_over_first(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    await lan.nodes[leader].remove_voter(leader)
    left = "".join(name for name in "abc" if name != leader)
    assert await lan.leader(left) in left
    assert lan.nodes[NodeId(left[0])].view.voters == frozenset(left)


async def test_a_node_that_does_not_answer_does_not_become_a_voter(lan: Lan) -> None:
    alone = await lan.start("a", "a")
    await alone.propose(b"one", 5)
    asked = asyncio.create_task(alone.add_voter(NodeId("nobody")))
    await alone.propose(b"two", 5)
    with pytest.raises(Conflict, match="is joining"):
        await alone.add_voter(NodeId("another"))
    assert alone.view.voters == frozenset("a")
    asked.cancel()


async def test_no_more_than_five_voters_and_never_none(lan: Lan) -> None:
    await start_all(lan, "abcde")
    with pytest.raises(Conflict, match="5 voters already"):
        await lan.nodes[NodeId("a")].add_voter(NodeId("f"))
    alone = await lan.start("x", "x")
    await alone.propose(b"one", 5)
    with pytest.raises(Conflict, match="only voter"):
        await alone.remove_voter(NodeId("x"))


async def test_leadership_is_handed_over_on_request(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    to = next(name for name in lan.nodes if name != leader)
    await lan.nodes[leader].transfer(to)
    assert await lan.leader() == to
    with pytest.raises(Conflict, match="only the leader"):
        await lan.nodes[leader].transfer(leader)


async def test_a_learner_asks_any_voter(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    learner = await lan.start("x", "abc")
    lan.cut("x", leader)
    index = await learner.propose(b"asked", 10)
    assert await learner.barrier(10) >= index
    assert learner.view.role == "learner" and learner.view.has_quorum
    await until(lambda: all(lan.machines[NodeId(name)].commands == [b"asked"] for name in "abc"))


async def test_reset_begins_anew_behind_a_point_and_keeps_the_term(lan: Lan, tmp_path: Path) -> None:
    await start_all(lan, "abc")
    await lan.nodes[NodeId("a")].propose(b"one", 10)
    await lan.same([b"one"])
    term = lan.nodes[NodeId("a")].view.term
    await lan.stop_all()
    applied = lan.machines[NodeId("a")].applied
    Consensus.reset(tmp_path / "a", frozenset({NodeId("a")}), applied, 1)
    alone = await lan.start("a", "")
    await alone.propose(b"two", 10)
    assert alone.view.voters == frozenset("a") and alone.view.term > term
    assert lan.machines[NodeId("a")].commands == [b"one", b"two"]


async def test_reset_leaves_nothing_of_the_old_log(lan: Lan, tmp_path: Path) -> None:
    await start_all(lan, "abc")
    for number in range(5):
        await lan.nodes[NodeId("a")].propose(b"%d" % number, 10)
    await lan.same([b"%d" % number for number in range(5)])
    machine = lan.machines[NodeId("a")]
    term = lan.nodes[NodeId("a")]._replica.voter.journal.term_at(machine.applied - 2)
    await lan.stop_all()
    machine.applied, machine.commands = machine.applied - 2, machine.commands[:-2]
    assert term is not None
    Consensus.reset(tmp_path / "a", frozenset({NodeId("a")}), machine.applied, term)
    alone = await lan.start("a", "")
    await alone.propose(b"new", 10)
    assert machine.commands == [b"0", b"1", b"2", b"new"]


async def test_a_node_joins_from_a_point(lan: Lan, tmp_path: Path) -> None:
    alone = await lan.start("a", "a")
    for n in range(10):
        await alone.propose(b"%d" % n, 5)
    applied, state = await lan.machines[NodeId("a")].snapshot()
    await lan.start("b", "a")
    await lan.stop("b")
    await lan.machines[NodeId("b")].install(applied, alone.view.term, state)
    Consensus.reset(tmp_path / "b", frozenset({NodeId("a")}), applied, alone.view.term)
    joined = await lan.start("b", "")
    await alone.add_voter(NodeId("b"))
    await joined.propose(b"both", 10)
    await lan.same([*(b"%d" % n for n in range(10)), b"both"])


async def test_a_log_that_does_not_fit_its_machine_is_refused(lan: Lan) -> None:
    lan.machines[NodeId("a")] = ListMachine()
    lan.machines[NodeId("a")].applied = 7
    with pytest.raises(Corrupt, match="the machine is at 7"):
        await lan.start("a", "a")


async def test_commands_have_a_size(lan: Lan) -> None:
    await start_all(lan, "ab")
    for node in lan.nodes.values():
        with pytest.raises(InvalidInput):
            await node.propose(b"", 1)
        with pytest.raises(TooLarge):
            await node.propose(b"x" * ((512 << 10) + 1), 1)
        await node.propose(b"x" * (512 << 10), 10)


async def test_garbage_from_a_peer_is_an_invalid_frame(lan: Lan) -> None:
    alone = await lan.start("a", "a")
    with pytest.raises(InvalidFrame):
        alone.received(NodeId("b"), b"short")
    for garbage in (b"", b"\xff" * 100, b"\x90", bytes(5 << 20)):
        with pytest.raises(InvalidFrame):
            alone.received(NodeId("b"), alone._tag + garbage)


async def test_a_consensus_formed_anew_does_not_hear_the_old_one(lan: Lan, tmp_path: Path) -> None:
    await start_all(lan, "abc")
    await lan.nodes[NodeId("a")].propose(b"old", 10)
    await lan.same([b"old"])
    await lan.stop("a")
    machine = lan.machines[NodeId("a")]
    Consensus.reset(tmp_path / "a", frozenset({NodeId("a")}), machine.applied, 1)
    alone = await lan.start("a", "", epoch="anew")
    await alone.propose(b"new", 10)
    await lan.nodes[NodeId("b")].propose(b"still old", 10)
    assert alone.view.voters == frozenset("a") and alone.view.role == "leader"
    assert machine.commands == [b"old", b"new"]
    await until(lambda: lan.machines[NodeId("c")].commands == [b"old", b"still old"])


async def test_it_ends_when_the_disk_takes_no_more(lan: Lan, tmp_path: Path) -> None:
    alone = await lan.start("a", "a")
    await alone.propose(b"one", 5)
    failures: list[BaseException] = []
    alone.on_failure = failures.append
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, alone._storage._descriptor("journal"))
    os.close(full)
    with pytest.raises(OutcomeUnknown):
        await alone.propose(b"two", 5)
    with pytest.raises(DiskFull):
        await alone.propose(b"three", 5)
    assert len(failures) == 1 and isinstance(failures[0], DiskFull)
    assert lan.machines[NodeId("a")].commands == [b"one"]


async def test_it_ends_when_the_machine_fails(lan: Lan) -> None:
    class Broken(ListMachine):
        def deliver(self, entries: Sequence[Committed]) -> None:
            raise Corrupt("cannot apply")

    lan.machines[NodeId("a")] = Broken()
    alone = await lan.start("a", "a")
    failures: list[BaseException] = []
    alone.on_failure = failures.append
    await until(lambda: failures)
    with pytest.raises(Corrupt):
        await alone.barrier(1)


async def test_a_node_far_behind_is_brought_up_by_a_snapshot(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    late = next(name for name in lan.nodes if name != leader)
    await lan.stop(late)
    commands = [b"%d" % number for number in range(60)]
    for command in commands:
        await lan.nodes[leader].propose(command, 10)
    for node in lan.nodes.values():
        node._replica.compact(lan.machines[leader].applied, most_entries=10)
        node._replica.compact(lan.machines[leader].applied, most_entries=10)
    assert lan.nodes[leader]._replica.voter.journal.base_index > 50
    await lan.start(late, "abc")
    await lan.same(commands)
    assert lan.machines[late].installs == 1
    await lan.nodes[late].propose(b"after", 10)
    await lan.same([*commands, b"after"])


async def test_an_installation_that_a_crash_broke_off_is_done_again(lan: Lan, tmp_path: Path) -> None:
    leader = await start_all(lan, "abc")
    await lan.nodes[leader].propose(b"one", 10)
    await lan.same([b"one"])
    late = next(name for name in lan.nodes if name != leader)
    await lan.stop(late)
    base = Base(40, lan.nodes[leader].view.term, frozenset(map(NodeId, "abc")))
    state = msgspec.msgpack.encode([b"one", b"two"])
    (tmp_path / late / "snapshot").write_bytes(to_file(Snapshot(base, state)))
    again = Consensus(late, tmp_path / late, frozenset(), lan.machines[late], Plug(lan, late))
    async with again:
        assert lan.machines[late].applied == 40 and lan.machines[late].commands == [b"one", b"two"]
        assert again.view.commit == 40 and not (tmp_path / late / "snapshot").exists()


async def test_a_link_that_flaps_costs_no_decision(lan: Lan) -> None:
    leader = await start_all(lan, "abc")
    follower = next(name for name in lan.nodes if name != leader)
    for number in range(10):
        lan.cut(follower, leader)
        lan.mend()
        await lan.nodes[leader].propose(b"%d" % number, 10)
    await lan.same([b"%d" % number for number in range(10)])


async def test_views_are_told_when_they_change(lan: Lan) -> None:
    views: list[View] = []
    await start_all(lan, "abc")
    lan.nodes[NodeId("a")].on_view = views.append
    leader = await lan.leader()
    await lan.nodes[leader].transfer(next(name for name in lan.nodes if name != leader))
    await until(lambda: views and views[-1].has_quorum and views[-1].leader not in (None, leader))
    assert lan.nodes[NodeId("a")].view.term == views[-1].term

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.daemon.swarm import machine_state
from hiveminddb.daemon.swarm.commands import (
    AddMember,
    Changes,
    ClaimName,
    Command,
    Expire,
    Grant,
    Order,
    Release,
    ReleaseName,
    RemoveMember,
    RenameMember,
    Renew,
    SetRegister,
    new_id,
)
from hiveminddb.daemon.swarm.deciding import MOST_REGISTERS, Result
from hiveminddb.daemon.swarm.machine import TOKEN_LEAP, leap
from hiveminddb.store import claims, commits, directory, machine
from hiveminddb.store.machine import RESULTS_KEPT
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.antientropy import sent
from tests.daemon.stepping import NODES, any_command, change, counters, node, take

A, B, C = NODES
KEY = b"k" * 32

logs = st.lists(any_command, max_size=60).map(lambda commands: list(enumerate(commands, 1)))


def done(tx: Transaction, *commands: Command) -> list[Result]:
    """The results of these commands as the next steps."""
    return take(tx, enumerate(commands, machine.progress(tx.connection).step + 1))


def state(tx: Transaction) -> bytes:
    return machine_state.encode(machine_state.read(tx.connection))


@settings(max_examples=60)
@given(logs)
def test_two_nodes_that_take_the_same_steps_end_in_the_same_state(log: list[tuple[int, Command]]) -> None:
    with node() as one, node() as other:
        results = take(one, log)
        assert [result for step in log for result in take(other, [step])] == results
        assert state(one) == state(other)
        assert counters(one.connection) == counters(other.connection)


@settings(max_examples=60)
@given(logs, st.data())
def test_a_snapshot_at_any_step_stands_for_the_steps_before_it(
    log: list[tuple[int, Command]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    before = data.draw(logs)
    with node() as one, node() as other:
        take(other, before)
        take(one, log[:cut])
        taken = machine_state.decode(state(one))
        assert taken.progress.step == cut
        machine_state.write(other, taken, cut, 1 if cut else 0)
        assert state(one) == state(other)
        # What the log says of origins goes on from what the snapshot says, whatever changes are known.
        assert [r.outcome for r in take(one, log[cut:])] == [r.outcome for r in take(other, log[cut:])]
        assert state(one) == state(other)


@settings(max_examples=60)
@given(logs)
def test_no_token_is_given_twice_and_a_later_one_is_greater(log: list[tuple[int, Command]]) -> None:
    with node() as tx:
        results = take(tx, log)
    # An id that came before is answered as it was then, whatever the command.
    answered: set[bytes] = set()
    tokens: list[int] = []
    for (_, command), result in zip(log, results, strict=True):
        if isinstance(command, Grant) and result.outcome == "done" and command.id not in answered:
            tokens.append(result.number)
        if not isinstance(command, Changes | Order):
            answered.add(command.id)
    assert tokens == sorted(tokens)
    assert not [token for token, count in Counter(tokens).items() if count > 1]


def test_a_lease_has_one_holder_until_it_is_released() -> None:
    with node() as tx:
        first, again, other = done(
            tx,
            Grant(new_id(), "db", "me", 1000),
            Grant(new_id(), "db", "me", 1000),
            Grant(new_id(), "db", "you", 1000),
        )
        assert first == Result("done", 1)
        assert again == other == Result("held", 1, "me")
        wrong, right, gone, after = done(
            tx,
            Release(new_id(), "db", 7),
            Release(new_id(), "db", 1),
            Release(new_id(), "db", 1),
            Grant(new_id(), "db", "you", 1000),
        )
        assert (wrong, right, gone) == (Result("gone", 1, "me"), Result("done", 1), Result("gone"))
        assert after == Result("done", 2)


def test_a_command_proposed_twice_is_done_once_and_answered_twice() -> None:
    with node() as tx:
        grant = Grant(new_id(), "db", "me", 1000)
        assert done(tx, grant, grant) == [Result("done", 1)] * 2
        assert done(tx, Release(new_id(), "db", 1), grant)[1] == Result("done", 1)
        assert claims.leases(tx.connection) == []


def test_a_lease_renewed_meanwhile_does_not_end() -> None:
    with node() as tx:
        done(tx, Grant(new_id(), "db", "me", 1000), Renew(new_id(), "db", 1))
        assert done(tx, Expire(new_id(), "db", 1, 1)) == [Result("held", 1, "me")]
        assert done(tx, Expire(new_id(), "db", 1, 2)) == [Result("done", 1)]
        assert done(tx, Renew(new_id(), "db", 1)) == [Result("gone")]


def test_a_register_is_set_only_from_what_it_was() -> None:
    with node() as tx:
        results = done(
            tx,
            SetRegister(new_id(), "k", "a", version=1),
            SetRegister(new_id(), "k", "a", expected=""),
            SetRegister(new_id(), "k", "a", version=0),
            SetRegister(new_id(), "k", "b", version=0),
            SetRegister(new_id(), "k", "b", expected="x"),
            SetRegister(new_id(), "k", "b", expected="a"),
        )
        assert [(r.outcome, r.number) for r in results] == [
            ("mismatch", 0), ("mismatch", 0), ("done", 1), ("mismatch", 1), ("mismatch", 1), ("done", 2)
        ]  # fmt: skip


def test_there_are_only_so_many_registers() -> None:
    with node() as tx:
        results = done(tx, *(SetRegister(new_id(), str(n), "v", version=0) for n in range(MOST_REGISTERS + 1)))
        assert Counter(result.outcome for result in results) == {"done": MOST_REGISTERS, "full": 1}
        assert done(tx, SetRegister(new_id(), "0", "w", version=1)) == [Result("done", 2)]


def test_a_name_has_one_bearer() -> None:
    with node() as tx:
        results = done(
            tx,
            ClaimName(new_id(), "anna", "agent-1"),
            ClaimName(new_id(), "anna", "agent-1"),
            ClaimName(new_id(), "anna", "agent-2"),
            ReleaseName(new_id(), "anna", "agent-2"),
            ReleaseName(new_id(), "anna", "agent-1"),
            ClaimName(new_id(), "anna", "agent-2"),
        )
        assert [r.outcome for r in results] == ["done", "done", "taken", "taken", "done", "done"]


def test_members_have_names_of_their_own() -> None:
    with node() as tx:
        results = done(
            tx,
            AddMember(new_id(), A, KEY, "laptop", "voter"),
            AddMember(new_id(), B, KEY, "laptop", "voter"),
            AddMember(new_id(), B, b"K" * 32, "laptop", "voter"),
            RenameMember(new_id(), B, "laptop"),
            RenameMember(new_id(), B, "desk"),
            AddMember(new_id(), B, KEY, "laptop", "learner"),
            RemoveMember(new_id(), A),
            RemoveMember(new_id(), A),
            RenameMember(new_id(), A, "x"),
        )
        assert [(r.outcome, r.text) for r in results] == [
            ("done", "laptop"), ("done", "laptop-2"), ("taken", "laptop-2"), ("taken", A), ("done", "desk"),
            ("done", "desk"), ("done", "laptop"), ("gone", ""), ("gone", ""),
        ]  # fmt: skip
        assert [(n.id, n.name, n.role) for n in directory.nodes(tx.connection)] == [(B, "desk", "learner")]


def test_tokens_go_on_from_those_of_a_swarm_that_joined_and_after_a_recovery() -> None:
    with node() as tx:
        done(tx, Grant(new_id(), "a", "me", 1000), AddMember(new_id(), B, KEY, "b", "voter", token=50))
        assert done(tx, Grant(new_id(), "b", "me", 1000)) == [Result("done", 51)]
        leap(tx)
        assert done(tx, Grant(new_id(), "c", "me", 1000)) == [Result("done", 52 + TOKEN_LEAP)]


def test_changes_are_taken_in_where_they_lack_and_ordered_everywhere() -> None:
    with node() as tx:
        tx.append_change(change(A, 1))
        pending = [sent(change(A, 1)), sent(change(A, 2))]
        assert done(tx, Changes(new_id(), pending)) == [Result("done", 2, A)]
        assert counters(tx.connection) == [(A, 1), (A, 2)]
        assert done(tx, Changes(new_id(), [sent(change(B, 3))])) == [Result("gap", 0, B)]
        assert done(tx, Order(new_id(), B, 1, 5)) == [Result("done", 5, B)]
        assert commits.ordered_vector(tx.connection) == {A: 2, B: 5}
        assert counters(tx.connection) == [(A, 1), (A, 2)]


def test_a_step_that_does_nothing_is_a_step() -> None:
    with node() as tx:
        take(tx, [(4, None), (9, None)])
        assert machine.progress(tx.connection).step == 9


def test_only_the_last_answers_are_kept() -> None:
    with node() as tx:
        many = [ReleaseName(new_id(), "x", "y") for _ in range(RESULTS_KEPT + 3)]
        done(tx, *many)
        kept = machine.results(tx.connection)
        assert [row.command for row in kept] == [command.id for command in many[3:]]

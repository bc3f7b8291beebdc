from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.errors import Conflict
from hiveminddb.model import NodeId
from hiveminddb.store import changes, commits, history, schema
from hiveminddb.store.check import check
from hiveminddb.store.commits import Base, Run
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.order import Order
from hiveminddb.store.transaction import Transaction
from tests.store.making import NODE, add, alter, change_of, row_of, share

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")

# Of an order: whose next changes, how many.
taken = st.lists(st.tuples(st.sampled_from((A, B, C)), st.integers(1, 9)), max_size=20)


@contextmanager
def empty() -> Iterator[Connection]:
    with TemporaryDirectory() as folder:
        connection = schema.open_writer(Path(folder) / "x.db")
        # Hundreds are made, and none outlives a power cut.
        connection.pragma("synchronous", "off")
        schema.migrate(connection)
        yield connection
        connection.close()


@contextmanager
def shared() -> Iterator[Order]:
    """An order that is decided by several nodes."""
    with empty() as connection:
        order = Order(connection)
        order.set_sole(False)
        yield order


def rows(order: Order) -> list[Run]:
    return [
        Run(*row) for row in order._connection.execute("SELECT seq, origin, counter, count FROM commits ORDER BY seq")
    ]


class Known(NamedTuple):
    seq: int
    known: int
    ordered: dict[NodeId, int]
    tail: Run | None


def state(order: Order) -> Known:
    return Known(order.seq, order.known, order.ordered, order._tail)


def whole(order: Order) -> bool:
    """What is counted in memory is what the tables say, and the doctor agrees."""
    found = {finding.check: finding.ok for finding in check(order._connection)}
    return state(order) == state(Order(order._connection)) and found["order of changes"]


def take(order: Order, steps: list[tuple[NodeId, int]]) -> list[tuple[NodeId, int]]:
    """Takes each step; the change at each position, from 1 on."""
    places: list[tuple[NodeId, int]] = []
    for origin, count in steps:
        first = order.ordered.get(origin, 0) + 1
        assert order.take(origin, first, count)
        places += [(origin, first + i) for i in range(count)]
    return places


def cut(runs: list[Run], chance: random.Random) -> list[Run]:
    """Pieces of runs, some of them overlapping."""
    pieces: list[Run | None] = []
    for run in runs:
        for _ in range(2):
            first = chance.randint(run.seq, run.last)
            pieces.append(run.part(first, chance.randint(first, run.last)))
        pieces.append(run)
    return [piece for piece in pieces if piece]


@settings(max_examples=60)
@given(taken)
def test_every_position_is_one_change_and_runs_are_as_long_as_they_can_be(steps: list[tuple[NodeId, int]]) -> None:
    with shared() as order:
        places = take(order, steps)
        found = rows(order)
        assert [(run.origin, run.counter + i) for run in found for i in range(run.count)] == places
        assert not any(after.goes_on(before) for before, after in zip(found, found[1:], strict=False))
        connection = order._connection
        for seq, (origin, counter) in enumerate(places, start=1):
            assert commits.seq_of(connection, origin, counter) == order.seq_of(origin, counter) == seq
        assert commits.seq_of(connection, A, order.ordered.get(A, 0) + 1) is None
        assert whole(order)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from((A, B)), st.integers(1, 12), st.integers(1, 6)), max_size=30))
def test_steps_that_overlap_or_leave_a_gap_have_the_same_outcome_everywhere(
    steps: list[tuple[NodeId, int, int]],
) -> None:
    """Against a model that keeps every position in a list."""
    with shared() as order:
        places: list[tuple[NodeId, int]] = []
        for step in steps:
            origin, first, count = step
            ordered = max((counter for other, counter in places if other == origin), default=0)
            assert order.take(*step) == (first <= ordered + 1)
            if first <= ordered + 1:
                places += [(origin, n) for n in range(ordered + 1, first + count)]
            before = rows(order)
            order.take(*step)
            assert rows(order) == before
        assert [(run.origin, run.counter + i) for run in rows(order) for i in range(run.count)] == places
        assert whole(order)


@settings(max_examples=60)
@given(taken, taken, st.randoms(use_true_random=False), st.booleans())
def test_runs_of_peers_in_any_order_and_repeated_fill_what_a_snapshot_left_out(
    before: list[tuple[NodeId, int]], after: list[tuple[NodeId, int]], chance: random.Random, learner: bool
) -> None:
    with shared() as full, shared() as order:
        take(full, before[: len(before) // 2])
        order.put(rows(full), extend=True)
        assert state(order) == state(full)
        take(full, before[len(before) // 2 :])
        order.install(full.seq, full.ordered)
        for origin, count in after:
            first = full.ordered.get(origin, 0) + 1
            full.take(origin, first, count)
            if not learner:
                order.take(origin, first, count)
        pieces = cut(rows(full), chance)
        while order.known < full.seq:
            chance.shuffle(pieces)
            for piece in pieces:
                order.put([piece], extend=learner)
                assert state(order) == state(Order(order._connection))
            assert whole(order)
        assert rows(order) == rows(full) and state(order) == state(full)


@settings(max_examples=30)
@given(taken, st.integers(0, 60), st.integers(1, 5))
def test_runs_are_handed_out_from_any_position_to_the_first_hole(
    steps: list[tuple[NodeId, int]], after: int, limit: int
) -> None:
    with shared() as full, shared() as order:
        take(full, steps)
        while (known := order.known) < full.seq:
            order.put(commits.runs_after(full._connection, known, limit), extend=True)
            assert order.known > known
        assert rows(order) == rows(full)
        order.take(A, order.ordered.get(A, 0) + 1, 1)
        order.install(order.seq + 5, order.ordered | {C: order.ordered.get(C, 0) + 5})
        order.take(B, order.ordered.get(B, 0) + 1, 2)
        handed = commits.runs_after(order._connection, after, 1000)
        positions = [run.seq + i for run in handed for i in range(run.count)]
        beyond = list(range(after + 1, order.seq + 1)) if after > order.seq - 3 else []
        assert positions == (list(range(after + 1, order.known + 1)) if after < order.known else beyond)


def test_a_voter_takes_no_position_from_a_peer_that_raft_has_not_told_of() -> None:
    with shared() as order:
        order.put([Run(1, A, 1, 5)], extend=False)
        assert (order.seq, order.ordered) == (0, {})
        order.install(3, {A: 3})
        order.put([Run(1, A, 1, 5)], extend=False)
        assert (order.seq, order.known, rows(order)) == (3, 3, [Run(1, A, 1, 3)])


@pytest.mark.parametrize(
    "run", [Run(3, B, 2, 1), Run(3, A, 2, 1), Run(3, A, 4, 1), Run(3, A, 3, 3), Run(3, C, 1, 1)], ids=str
)
def test_a_run_that_contradicts_what_is_known_is_refused(run: Run) -> None:
    with shared() as order:
        order.put([Run(1, A, 1, 2)], extend=True)
        order.install(6, {A: 4, B: 2})
        with pytest.raises(Conflict, match="does not follow"):
            order.put([run], extend=False)
        assert (order.known, whole(order)) == (2, True)
    with shared() as order, pytest.raises(Conflict, match="position 1 is said to be change 2 of b"):
        order.put([Run(1, B, 2, 1)], extend=True)


def test_a_snapshot_says_what_steps_made_and_leaves_what_is_known_beyond_it() -> None:
    with shared() as order:
        order.put([Run(1, A, 1, 3), Run(4, B, 1, 3)], extend=True)
        order.install(4, {A: 3, B: 1})
        assert (order.stepped, order.seq, order.ordered) == ((4, {A: 3, B: 1}), 6, {A: 3, B: 3})
        assert order.take(B, 2, 1) and order.stepped == (5, {A: 3, B: 2})
        assert order.take(A, 4, 1) and rows(order)[1:] == [Run(4, B, 1, 2), Run(6, A, 4, 1)]


def test_a_snapshot_of_positions_that_are_not_known_leaves_a_hole() -> None:
    with shared() as order:
        take(order, [(A, 3), (B, 2)])
        order.install(20, {A: 9, B: 11})
        assert order.take(A, 10, 1) and commits.seq_of(order._connection, A, 10) == 21
        # Two holes cannot be told from one: what came after the first is asked for again.
        order.install(30, {A: 15, B: 15})
        assert (order.known, order.seq, len(rows(order)), whole(order)) == (5, 30, 2, True)


def test_where_a_snapshot_contradicts_what_peers_told_only_that_is_given_up() -> None:
    with shared() as order:
        take(order, [(A, 2)])
        order.put([Run(3, B, 1, 2)], extend=True)
        order.install(4, {A: 3, B: 1})
        assert (order.known, order.seq, order.ordered, rows(order)) == (2, 4, {A: 3, B: 1}, [Run(1, A, 1, 2)])


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_where_a_snapshot_contradicts_the_steps_taken_here_the_whole_order_is_asked_for_again(seq: int) -> None:
    with shared() as order:
        take(order, [(B, 2)])
        order.install(seq, {A: seq})
        assert (order.known, order.seq, order.ordered, order.stepped) == (0, seq, {A: seq}, (seq, {A: seq}))
        order.put([Run(1, A, 1, seq)], extend=False)
        assert (order.known, rows(order)) == (seq, [Run(1, A, 1, seq)])


pytestmark = pytest.mark.anyio


def append(tx: Transaction, origin: str, count: int) -> None:
    for _ in range(count):
        counter = tx.next_counter(origin)
        assert isinstance(
            tx.append_change(change_of(f"{origin}{counter}", counter, origin=origin, kind="channel")), int
        )


async def test_a_node_that_decides_alone_orders_what_it_writes_with_it(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        assert await database.write(lambda tx: tx.sole)
        await database.write(lambda tx: add(tx, *(row_of(f"id{n}", "x") for n in range(3))))
        await database.write(lambda tx: alter(tx, row_of("id1", "y")))
        await database.write(lambda tx: append(tx, "peer", 2))
        assert await database.read(lambda c: commits.runs_after(c, 0, 9)) == [
            Run(1, NodeId(NODE), 1, 4),
            Run(5, NodeId("peer"), 1, 2),
        ]
        assert [v.seq for v in await database.read(lambda c: history.versions_of(c, "id1"))] == [2, 4]
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: append(tx, "peer", 1))
        assert await database.read(commits.last_seq) == await database.read(commits.known_upto) == 7
        assert [finding for finding in await database.read(check) if not finding.ok] == []


async def test_what_was_written_while_others_had_a_say_is_pending_until_it_is_ordered(tmp_path: Path) -> None:
    def seqs(connection: Connection) -> list[int | None]:
        return [line.seq for line in changes.feed(connection, 0, 99)]

    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: append(tx, NODE, 1))
        await database.write(share)
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: append(tx, NODE, 2))
        await database.write(lambda tx: append(tx, "peer", 1))
        assert await database.read(seqs) == [1, None, None, None]
        assert await database.write(lambda tx: [tx.order.take("peer", 1, 1), tx.order.take(NODE, 2, 1)]) == [True, True]
        assert await database.read(seqs) == [1, 3, None, 2]
        await database.write(lambda tx: tx.decide_alone())
        assert await database.read(seqs) == [1, 3, 4, 2]
        await database.write(lambda tx: append(tx, NODE, 1))
        assert await database.read(seqs) == [1, 3, 4, 2, 5]
        assert [line.n for line in await database.read(lambda c: changes.committed_feed(c, 0, 99))] == [1, 4, 2, 3, 5]
        await database.write(lambda tx: tx.order.leave())
        assert await database.read(seqs) == [None] * 5
        assert await database.write(lambda tx: (tx.sole, tx.order.seq, tx.order.ordered)) == (False, 0, {})


async def test_the_committed_feed_stops_at_the_first_change_that_is_lacking(tmp_path: Path) -> None:
    def feed(after: int, limit: int = 99) -> Callable[[Connection], list[tuple[int | None, str]]]:
        return lambda c: [(line.seq, line.document) for line in changes.committed_feed(c, after, limit)]

    def ordered(tx: Transaction) -> None:
        share(tx)
        append(tx, A, 2)
        append(tx, B, 1)
        for origin, first, count in ((A, 1, 2), (B, 1, 2), (A, 3, 1)):
            assert tx.order.take(origin, first, count)
        append(tx, A, 1)

    async with Database(tmp_path / "x.db") as database:
        await database.write(ordered)
        assert await database.read(feed(0)) == [(1, "a1"), (2, "a2"), (3, "b1")]
        assert await database.read(feed(3)) == []
        await database.write(lambda tx: append(tx, B, 1))
        assert await database.read(feed(0)) == [(1, "a1"), (2, "a2"), (3, "b1"), (4, "b2"), (5, "a3")]
        assert await database.read(feed(1, 2)) == [(2, "a2"), (3, "b1")]


async def test_an_order_that_is_undone_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    def stumble(tx: Transaction) -> None:
        append(tx, NODE, 3)
        tx.order.leave()
        raise LookupError

    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: append(tx, NODE, 1))
        with pytest.raises(LookupError):
            await database.write(stumble)
        await database.write(lambda tx: append(tx, NODE, 1))
        assert await database.write(lambda tx: (tx.sole, tx.order.seq, tx.order.ordered)) == (True, 2, {NODE: 2})


async def test_what_another_lacks_is_handed_out_in_parts(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database, Database(tmp_path / "y.db") as other:
        for origin in (A, B, C, B):
            await database.write(lambda tx, origin=origin: append(tx, origin, 5))  # type: ignore[misc]
        more, parts = True, 0
        while more:
            vector = await other.read(changes.version_vector)
            batch, more = await database.read(lambda c, vector=vector: changes.changes_after(c, vector, 1000))  # type: ignore[misc]
            assert 0 < sum(map(changes.size_of, batch)) <= 1000
            assert all([isinstance(await other.write(lambda tx, one=one: tx.append_change(one)), int) for one in batch])  # type: ignore[misc]
            parts += 1
        assert parts > 1
        assert await other.read(changes.version_vector) == {A: 5, B: 10, C: 5}
        large = await database.read(lambda c: changes.changes_from(c, A, 3, max_bytes=1))
        assert [change.counter for change in large] == [4]
        assert await database.read(lambda c: changes.changes_after(c, {A: 5, B: 10, C: 7}, 1000)) == ([], False)


async def test_an_order_that_is_not_whole_is_found(tmp_path: Path) -> None:
    for damage in (
        "DELETE FROM commits WHERE seq = 3",
        "UPDATE commits SET counter = 2 WHERE seq = 3",
        "UPDATE commits SET count = 1 WHERE seq = 1",
        "UPDATE commits SET count = 0 WHERE seq = 4",
        "DELETE FROM changes WHERE origin = 'b'",
    ):
        path = tmp_path / f"{hash(damage)}.db"
        async with Database(path) as database:
            for origin, count in ((A, 2), (B, 1), (A, 3)):
                await database.write(lambda tx, origin=origin, count=count: append(tx, origin, count))  # type: ignore[misc]
            assert all(finding.ok for finding in await database.read(check))
            await database.write(lambda tx, damage=damage: tx.connection.execute(damage) and None)  # type: ignore[misc]
            broken = {finding.check for finding in await database.read(check) if not finding.ok}
            assert "order of changes" in broken, damage


# Steps, some of which a voter refused because those before them were missing then.
proposed = st.lists(st.tuples(st.sampled_from((A, B, C)), st.integers(1, 12), st.integers(1, 6)), max_size=25)


@given(proposed, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_who_hears_of_positions_before_it_takes_the_steps_ends_with_the_same_order(
    steps: list[tuple[NodeId, int, int]], chance: random.Random
) -> None:
    with shared() as voter, shared() as learner:
        told: list[list[Run]] = []
        outcomes: list[bool] = []
        ordered: list[Base] = []
        for step in steps:
            outcomes.append(voter.take(*step))
            told.append(rows(voter))
            ordered.append(Base(voter.seq, dict(voter.ordered)))
        for n, step in enumerate(steps):
            if chance.random() < 0.5:
                learner.put(chance.choice(told[n:]), extend=True)
            assert learner.take(*step) == outcomes[n]
            assert learner.stepped == ordered[n]
            assert rows(learner) in told[n:]
            assert whole(learner)


def test_what_only_peers_told_of_is_no_part_of_what_steps_left() -> None:
    with shared() as order:
        order.take(A, 1, 3)
        order.put([Run(1, A, 1, 3), Run(4, B, 1, 2)], extend=True)
        assert (order.seq, commits.stepped_of(order._connection)) == (5, (3, {A: 3}))
        order.put([Run(6, A, 4, 1)], extend=True)
        assert commits.stepped_of(order._connection) == (3, {A: 3})
        assert order.take(B, 1, 3) and (rows(order)[-1], order.stepped) == (Run(4, B, 1, 3), (6, {A: 3, B: 3}))


def test_where_a_peer_told_of_something_else_the_steps_count() -> None:
    with shared() as order:
        order.take(A, 1, 3)
        order.put([Run(4, B, 1, 5)], extend=True)
        assert order.take(A, 4, 2)
        assert (rows(order), order.stepped, whole(order)) == ([Run(1, A, 1, 5)], (5, {A: 5}), True)


def test_who_begins_to_decide_alone_goes_on_from_all_it_knows() -> None:
    with shared() as order:
        order.put([Run(1, B, 1, 2)], extend=True)
        order.set_sole(True)
        order.take(A, 1, 1)
        assert rows(order) == [Run(1, B, 1, 2), Run(3, A, 1, 1)]

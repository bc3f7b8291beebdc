from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.daemon.fresh import MOST_BYTES, Fresh
from hiveminddb.model import Change, NodeId
from hiveminddb.store import changes
from tests.daemon.island import Island
from tests.daemon.stepping import NODES, change

ME, OTHER = NodeId(NODES[0]), NodeId(NODES[1])


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, MOST_BYTES + 1))), st.integers(0, 40))
def test_what_follows_is_all_that_was_made_or_must_be_looked_up(made: list[tuple[int, int]], after: int) -> None:
    fresh, log = Fresh(), list[Change]()
    for count, size in made:
        new = [change(ME, len(log) + 1 + i, b"u" * size) for i in range(count)]
        fresh.put(new)
        log += new
    found = fresh.following(ME, after)
    assert found in (None, log[after:])
    if log and len(log[-1].update) <= MOST_BYTES:
        assert fresh.following(ME, len(log)) == []
        assert fresh.following(ME, len(log) - 1) == log[-1:]


def test_what_it_keeps_is_bounded() -> None:
    fresh = Fresh()
    fresh.put([change(ME, n, b"u" * 1000) for n in range(1, 1001)])
    assert fresh.following(ME, 0) is None
    assert 0 < len(fresh.following(ME, 900) or []) <= 100
    fresh.put([change(ME, 1001, b"u" * (MOST_BYTES + 1))])
    assert fresh.following(ME, 1000) is None


def test_another_origin_or_a_leap_begins_anew() -> None:
    fresh = Fresh()
    assert fresh.following(ME, 0) is None
    fresh.put([change(ME, 1)])
    fresh.put([change(OTHER, 1)])
    assert (fresh.following(ME, 0), fresh.following(OTHER, 0)) == (None, [change(OTHER, 1)])
    fresh.put([change(OTHER, 3)])
    assert (fresh.following(OTHER, 1), fresh.following(OTHER, 2)) == (None, [change(OTHER, 3)])


def test_it_says_what_the_database_would() -> None:
    with TemporaryDirectory() as folder:
        island = Island(ME, Path(folder))
        row = island.add("notes", "first")
        for turn in range(20):
            island.add(f"topic {turn % 3}", f"words {turn}")
            island.edit(row.id, text=f"edited {turn}\n")
        for after in (0, 1, 17, 40):
            expected = changes.changes_from(island.connection, ME, after, MOST_BYTES)
            assert len(expected) > 1 and island.pipeline.fresh.following(ME, after) == expected
        island.connection.close()

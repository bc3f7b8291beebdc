from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.errors import Ambiguous, InvalidInput, NotFound
from hiveminddb.store import schema
from hiveminddb.store.database import Connection
from hiveminddb.store.filters import Filters
from hiveminddb.store.listing import count_memories, file_texts, list_memories, topic_exists, topics
from hiveminddb.store.memories import last_position, resolve_id
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from tests.store.making import add, row_of


def filled(path: Path, *rows: MemoryRow) -> Connection:
    connection = schema.open_writer(path)
    schema.migrate(connection)
    tx = Transaction(connection)
    add(tx, *rows)
    return connection


some_rows = st.lists(
    st.builds(
        lambda number, at, topic, tags, gone, user: row_of(
            f"{number:04}", "x", topic, at, tags=tuple(tags), invalidated_at=gone, user_id=user
        ),
        st.integers(0, 9999),
        st.integers(-3, 3),
        st.sampled_from(["a", "b"]),
        st.sets(st.sampled_from("xyz")),
        st.sampled_from([None, None, 7]),
        st.sampled_from([None, "u"]),
    ),
    unique_by=lambda row: row.id,
    max_size=30,
)
some_filters = st.builds(
    Filters,
    topic=st.sampled_from([None, None, "a"]),
    tags=st.lists(st.sampled_from("xyz"), max_size=2).map(tuple),
    user_id=st.sampled_from([None, "u"]),
    since=st.sampled_from([None, -1]),
    until=st.sampled_from([None, 2]),
    include_invalidated=st.booleans(),
)


def meets(row: MemoryRow, filters: Filters) -> bool:
    return (
        filters.topic in (None, row.topic)
        and set(filters.tags) <= set(row.tags)
        and filters.user_id in (None, row.user_id)
        and (filters.since is None or row.created_at >= filters.since)
        and (filters.until is None or row.created_at < filters.until)
        and (filters.include_invalidated or row.alive)
    )


@settings(max_examples=60)
@given(some_rows, some_filters, st.integers(1, 7))
def test_the_pages_are_the_whole_list_once(rows: list[MemoryRow], filters: Filters, limit: int) -> None:
    with TemporaryDirectory() as folder:
        connection = filled(Path(folder) / "x.db", *rows)
        wanted = sorted(((row.created_at, row.id) for row in rows if meets(row, filters)), reverse=True)
        got: list[tuple[int, str]] = []
        cursor = None
        while True:
            page = list_memories(connection, filters, limit, cursor)
            got += [(row.created_at, row.id) for row in page.rows]
            if (cursor := page.cursor) is None:
                break
            assert len(page.rows) == limit
        assert got == wanted
        assert count_memories(connection, filters) == len(wanted)
        connection.close()


def test_a_cursor_goes_on_where_it_was_whatever_came_in_between(tmp_path: Path) -> None:
    connection = filled(tmp_path / "x.db", *(row_of(f"id{at}", "x", created_at=at) for at in (1, 3, 5, 7)))
    first = list_memories(connection, Filters(), 2)
    add(Transaction(connection), row_of("id9", "x", created_at=9), row_of("id2", "x", created_at=2))
    rest = list_memories(connection, Filters(), 9, first.cursor)
    assert [row.id for row in (*first.rows, *rest.rows)] == ["id7", "id5", "id3", "id2", "id1"]
    connection.close()


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "é", "MTIz", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OmE", "a" * 5000])
def test_what_is_not_a_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    connection = filled(tmp_path / "x.db")
    with pytest.raises(InvalidInput, match="not a cursor"):
        list_memories(connection, Filters(), 10, cursor)
    connection.close()


def test_rows_that_are_not_listed_are_neither_listed_nor_counted(tmp_path: Path) -> None:
    connection = filled(tmp_path / "x.db", row_of("head", "# notes", listed=False, position="a"), row_of("idid", "x"))
    assert [row.id for row in list_memories(connection, Filters(include_invalidated=True), 9).rows] == ["idid"]
    assert count_memories(connection, Filters()) == 1
    assert [(topic.topic, topic.memories) for topic in topics(connection)] == [("notes", 1)]
    connection.close()


def test_topics_count_what_lives_in_them(tmp_path: Path) -> None:
    first, second = row_of("aaaa", "é", "b", created_at=5), row_of("bbbb", "x", "b", created_at=6)
    connection = filled(
        tmp_path / "x.db", second, first, row_of("cccc", "x", "gone", invalidated_at=3), row_of("d", "y", "a")
    )
    assert [(t.topic, t.memories, t.updated_at) for t in topics(connection)] == [("a", 1, 1_000_000), ("b", 2, 6)]
    assert topics(connection)[1].size_bytes == len((first.text + second.text).encode())
    assert dict(file_texts(connection)) == {"a": row_of("d", "y").text, "b": first.text + second.text}
    assert (topic_exists(connection, "b"), topic_exists(connection, "gone"), topic_exists(connection, "no")) == (
        1,
        0,
        0,
    )
    assert (last_position(connection, "b"), last_position(connection, "no")) == (second.position, None)
    connection.close()


def test_an_id_may_be_cut_short_where_it_is_still_one(tmp_path: Path) -> None:
    ids = ("abcd", "abcdefgh", "wxyz2222", "wxyz3333")
    connection = filled(tmp_path / "x.db", *(row_of(id, "x") for id in ids))
    assert resolve_id(connection, "abcd") == "abcd"
    assert resolve_id(connection, "abcde") == "abcdefgh"
    assert resolve_id(connection, "wxyz3") == "wxyz3333"
    with pytest.raises(Ambiguous, match="wxyz2222, wxyz3333"):
        resolve_id(connection, "wxyz")
    for unknown in ("nope", "wxyz33334", "%%%%", "😀😀😀😀"):
        with pytest.raises(NotFound):
            resolve_id(connection, unknown)
    for short in ("", "abc"):
        with pytest.raises(InvalidInput):
            resolve_id(connection, short)
    connection.close()

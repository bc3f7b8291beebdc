from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.store import history, schema
from hiveminddb.store.check import check
from hiveminddb.store.memories import entries_of
from hiveminddb.store.transaction import Transaction
from tests.store.making import alter, change_of, dump, row_of, share

IDS = ("aaaa", "bbbb", "cccc")
TOPICS = ("notes", "projects/x")

steps = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.sampled_from(TOPICS),
        st.text("ab \n😀", max_size=6),
        st.sampled_from("123"),
        st.booleans(),
        st.sets(st.sampled_from("xyz")),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@given(steps)
def test_every_text_a_file_ever_had_is_still_there(taken: list[tuple[str, str, str, str, bool, set[str]]]) -> None:
    """Against a model that writes down each file after each change."""
    with TemporaryDirectory() as folder:
        connection = schema.open_writer(Path(folder) / "x.db")
        schema.migrate(connection)
        tx = Transaction(connection)
        memories: dict[str, tuple[str, str, str, bool]] = {}
        past: list[dict[str, str]] = [dict.fromkeys(TOPICS, "")]
        lives: dict[str, list[str]] = {id: [] for id in IDS}
        for id, topic, content, position, alive, tags in taken:
            row = row_of(id, content, topic, position=position, tags=tuple(tags))
            tx.run(lambda tx, row=row, alive=alive: alter(tx, row if alive else replace(row, invalidated_at=1)))  # type: ignore[misc]
            memories[id] = (topic, position, row.text, alive)
            lives[id].append(content)
            past.append({name: text_of(memories, name) for name in TOPICS})
        tx.flush_index()
        for n, files in enumerate(past):
            for topic, text in files.items():
                assert "".join(entry.text for entry in history.entries_as_of(connection, topic, n)) == text
        for topic, text in past[-1].items():
            assert "".join(row.text for row in entries_of(connection, topic)) == text
        for id, contents in lives.items():
            versions = history.versions_of(connection, id)
            assert [version.content for version in versions] == contents
            assert [version.version for version in versions] == list(range(1, len(contents) + 1))
        assert [finding for finding in check(connection) if not finding.ok] == []
        connection.close()


def text_of(memories: dict[str, tuple[str, str, str, bool]], topic: str) -> str:
    there = sorted(
        (position, id, text) for id, (name, position, text, alive) in memories.items() if name == topic and alive
    )
    return "".join(text for _, _, text in there)


def test_what_failed_leaves_no_trace(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path / "x.db")
    schema.migrate(connection)
    tx = Transaction(connection)
    row = row_of("aaaa", "first", tags=("x",))
    tx.run(lambda tx: alter(tx, row))

    def failing(tx: Transaction) -> None:
        alter(tx, row_of("aaaa", "second", "other", tags=("y",)))
        tx.flush_index()
        alter(tx, row_of("bbbb", "third"))
        raise LookupError

    try:
        tx.run(failing)
    except LookupError:
        pass
    tx.flush_index()
    after = dump(connection)
    connection.execute("DELETE FROM entries")

    fresh = schema.open_writer(tmp_path / "y.db")
    schema.migrate(fresh)
    other = Transaction(fresh)
    other.run(lambda tx: alter(tx, row))
    other.flush_index()
    assert after == dump(fresh)
    connection.close()
    fresh.close()


def test_a_change_that_got_its_place_before_the_one_it_builds_on_comes_after_it(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path / "x.db")
    schema.migrate(connection)
    tx = Transaction(connection)
    share(tx)
    for change in (change_of("aaaa", 1, "late"), change_of("aaaa", 1, "early", action="update")):
        tx.append_change(replace(change, hlc=change.hlc + (change.origin == "early")))
    assert tx.order.take("early", 1, 1) and tx.order.take("late", 1, 1)
    assert [(step.seq, step.action) for step in history.steps_of(connection, "aaaa")] == [(2, "add"), (1, "update")]
    connection.close()


def test_what_made_a_memory_comes_first_whatever_the_clocks_say(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path / "x.db")
    schema.migrate(connection)
    tx = Transaction(connection)
    made, edited = change_of("aaaa", 1, "right"), change_of("aaaa", 1, "slow", action="update")
    for change in (replace(made, hlc=900 << 16), replace(edited, hlc=1 << 16)):
        tx.append_change(change)
    assert [step.action for step in history.steps_of(connection, "aaaa")] == ["add", "update"]
    connection.close()

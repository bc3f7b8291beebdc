from __future__ import annotations

import apsw
import numpy as np
import pytest

from hiveminddb.store import vectors
from hiveminddb.store.columns import Floats
from hiveminddb.store.index import Index
from hiveminddb.store.rows import text_hash
from hiveminddb.store.search import Query, search
from hiveminddb.store.vectors import ActiveModel, Coverage
from tests.store.searched import Searched, memory

SMALL, LARGE = ActiveModel("small", 2), ActiveModel("large", 3)


def matrix(*rows: list[float]) -> Floats:
    return np.array(rows, np.float32)


def stocked() -> Searched:
    store = Searched()
    store.put(*(memory(letter * 20, f"text {letter}", topic=letter) for letter in "abc"))
    return store


def in_sqlite_vec(connection: apsw.Connection) -> list[int]:
    return [rowid for (rowid,) in connection.execute("SELECT rowid FROM passages ORDER BY rowid")]


def test_before_the_first_model_there_is_nothing_to_load() -> None:
    store = stocked()
    assert vectors.active(store.connection) is None
    assert vectors.load(store.connection) is None
    assert vectors.attach(store.connection, 1, b"x") is None
    vectors.detach(store.connection, [1])


def test_vectors_come_back_as_they_were_put() -> None:
    store = stocked()
    vectors.activate(store.connection, SMALL)
    passages = matrix([1, 0], [0.6, 0.8])
    slots = vectors.put(store.connection, text_hash("text b"), "small", passages)
    assert slots == (2,)
    living = vectors.load(store.connection)
    assert living is not None
    assert living.slots.tolist() == [2, 2]
    assert np.array_equal(living.matrix, passages)
    stored = vectors.stored(store.connection, text_hash("text b"), "small")
    assert stored is not None and np.array_equal(stored, passages)
    assert in_sqlite_vec(store.connection) == [2 * vectors.PASSAGES, 2 * vectors.PASSAGES + 1]


def test_the_nearest_in_sqlite_vec_is_the_nearest_in_the_index() -> None:
    store = stocked()
    vectors.activate(store.connection, SMALL)
    for letter, vector in zip("abc", ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8]), strict=True):
        vectors.put(store.connection, text_hash(f"text {letter}"), "small", matrix(vector))
    query = matrix([0.1, 0.99])[0]
    nearest = store.connection.execute(
        "SELECT rowid FROM passages WHERE embedding MATCH ? AND k = 3 ORDER BY distance", (query.tobytes(),)
    )
    index = Index.load(store.connection)
    index.use_vectors(2, vectors.load(store.connection))
    hits = search(store.connection, index, Query("", query, mode="vector")).hits
    assert [hit.slot for hit in hits] == [rowid // vectors.PASSAGES for (rowid,) in nearest]


def test_putting_again_replaces_and_the_same_text_shares() -> None:
    store = stocked()
    store.put(memory("d" * 20, "text a"))
    vectors.activate(store.connection, SMALL)
    vectors.put(store.connection, text_hash("text a"), "small", matrix([1, 0], [0, 1]))
    assert vectors.put(store.connection, text_hash("text a"), "small", matrix([0, 1])) == (1, 4)
    assert in_sqlite_vec(store.connection) == [1 * vectors.PASSAGES, 4 * vectors.PASSAGES]


def test_missing_counts_down() -> None:
    store = stocked()
    store.put(memory("c" * 20, "text c", invalidated_at=1))
    vectors.activate(store.connection, SMALL)
    assert vectors.coverage(store.connection, "small") == Coverage(0, 2)
    missing = vectors.missing(store.connection, "small", 10)
    assert [(one.id, one.content) for one in missing] == [("b" * 20, "text b"), ("a" * 20, "text a")]
    vectors.put(store.connection, missing[0].text_hash, "small", matrix([1, 0]))
    assert vectors.coverage(store.connection, "small") == Coverage(1, 1)


def test_old_vectors_serve_until_another_model_is_complete() -> None:
    store = stocked()
    vectors.activate(store.connection, SMALL)
    for letter in "abc":
        vectors.put(store.connection, text_hash(f"text {letter}"), "small", matrix([1, 0]))
    for letter in "abc":
        assert vectors.put(store.connection, text_hash(f"text {letter}"), "large", matrix([0, 0, 1])) == ()
        living = vectors.load(store.connection)
        assert living is not None and living.matrix.shape == (3, 2)
    vectors.activate(store.connection, LARGE)
    living = vectors.load(store.connection)
    assert living is not None and living.matrix.shape == (3, 3)
    assert vectors.sweep(store.connection, ["large"]) == 3


def test_a_slot_detached_is_gone_and_one_attached_is_there() -> None:
    store = stocked()
    vectors.activate(store.connection, SMALL)
    vectors.put(store.connection, text_hash("text a"), "small", matrix([1, 0], [0, 1]))
    vectors.detach(store.connection, [1, 2, 99])
    assert in_sqlite_vec(store.connection) == []
    attached = vectors.attach(store.connection, 7, text_hash("text a"))
    assert attached is not None and attached.shape == (2, 2)
    assert in_sqlite_vec(store.connection) == [7 * vectors.PASSAGES, 7 * vectors.PASSAGES + 1]


def test_side_records_of_texts_no_memory_has_are_swept() -> None:
    store = stocked()
    vectors.activate(store.connection, SMALL)
    vectors.put(store.connection, text_hash("text a"), "small", matrix([1, 0]))
    vectors.put(store.connection, text_hash("gone"), "small", matrix([1, 0]))
    assert vectors.sweep(store.connection, ["small"]) == 1
    assert vectors.stored(store.connection, text_hash("text a"), "small") is not None


@pytest.mark.parametrize("dimensions", [1, 384, 1024])
def test_any_dimensions_will_do(dimensions: int) -> None:
    store = stocked()
    vectors.activate(store.connection, ActiveModel("m", dimensions))
    vectors.put(store.connection, text_hash("text a"), "m", np.ones((1, dimensions), np.float32))
    living = vectors.load(store.connection)
    assert living is not None and living.matrix.shape == (1, dimensions)


def test_putting_a_text_s_vectors_reads_no_other_memory() -> None:
    store = stocked()
    vectors.activate(store.connection, SMALL)
    asked: list[tuple[str, apsw.Bindings | None]] = []

    def note(_cursor: apsw.Cursor, statement: str, bindings: apsw.Bindings | None) -> bool:
        asked.append((statement, bindings))
        return True

    store.connection.exec_trace = note
    assert vectors.put(store.connection, text_hash("text b"), "small", matrix([1, 0])) == (2,)
    store.connection.exec_trace = None
    plans = [
        step
        for statement, bindings in asked
        for *_, step in store.connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)
    ]
    assert any("memories_text" in step for step in plans)
    assert not any(step.startswith("SCAN m") for step in plans)

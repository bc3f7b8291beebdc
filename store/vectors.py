"""Vectors on the disk: side records by text and model for good, and those of the model in use in sqlite-vec as well.

A search reads neither: it works on the copy in the index, which `load` fills. Another model's vectors are collected as
side records while the present ones serve; `activate` turns to them when they are complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apsw
import numpy as np

from hiveminddb.store.columns import Floats, Longs

# Passages of one text at most; a passage's rowid in sqlite-vec is its memory's slot times this, plus its number.
PASSAGES = 256

_MODEL, _DIMENSIONS = "vectors.model", "vectors.dimensions"
_SEARCHED = "m.listed AND m.invalidated_at IS NULL"
_LACKS = "NOT EXISTS (SELECT 1 FROM vectors v WHERE v.text_hash = m.text_hash AND v.model = :model)"
_LIVING = (
    "SELECT m.slot, v.passage, v.vector FROM memories m CROSS JOIN vectors v ON v.text_hash = m.text_hash"
    f" WHERE v.model = ? AND {_SEARCHED} ORDER BY m.slot, v.passage"
)


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """The model whose vectors are searched."""

    model: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A living memory whose text has no vectors under a model; `n` is its last change."""

    id: str
    n: int
    text_hash: bytes
    content: str
    speaker: str | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many living memories have vectors under a model, and how many wait for them."""

    vectors: int
    missing: int


@dataclass(frozen=True, slots=True)
class Living:
    """The vectors of all living memories under the model in use: a slot for each row of the matrix."""

    slots: Longs
    matrix: Floats


def active(connection: apsw.Connection) -> ActiveModel | None:
    """The model in use, None before the first."""
    rows = connection.execute("SELECT key, value FROM meta WHERE key IN (?, ?)", (_MODEL, _DIMENSIONS))
    values = {key: value for key, value in rows}
    return ActiveModel(values[_MODEL], int(values[_DIMENSIONS])) if len(values) == 2 else None


def activate(connection: apsw.Connection, model: ActiveModel) -> None:
    """Turns to a model, inside a transaction: its side records become the vectors of sqlite-vec."""
    connection.execute("DROP TABLE IF EXISTS passages")
    connection.execute(
        f"CREATE VIRTUAL TABLE passages USING vec0(embedding float[{model.dimensions:d}] distance_metric=cosine)"
    )
    for key, value in ((_MODEL, model.model), (_DIMENSIONS, str(model.dimensions))):
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
    rows = connection.execute(_LIVING, (model.model,))
    _insert(connection, ((slot * PASSAGES + passage, vector) for slot, passage, vector in rows))


def put(connection: apsw.Connection, text_hash: bytes, model: str, vectors: Floats) -> tuple[int, ...]:
    """Keeps the passages of a text; the slots of the living memories that have it, where the model is in use."""
    passages = [row.tobytes() for row in np.atleast_2d(np.asarray(vectors, "<f4"))[:PASSAGES]]
    connection.execute("DELETE FROM vectors WHERE text_hash = ? AND model = ?", (text_hash, model))
    connection.executemany(
        "INSERT INTO vectors (text_hash, model, passage, vector) VALUES (?, ?, ?, ?)",
        [(text_hash, model, passage, vector) for passage, vector in enumerate(passages)],
    )
    in_use = active(connection)
    if in_use is None or in_use.model != model:
        return ()
    rows = connection.execute(f"SELECT m.slot FROM memories m WHERE m.text_hash = ? AND {_SEARCHED}", (text_hash,))
    slots = tuple(slot for (slot,) in rows)
    detach(connection, slots)
    _insert(connection, ((slot * PASSAGES + i, vector) for slot in slots for i, vector in enumerate(passages)))
    return slots


def attach(connection: apsw.Connection, slot: int, text_hash: bytes) -> Floats | None:
    """Gives a new slot the vectors its text has already under the model in use; None when it has none."""
    in_use = active(connection)
    vectors = stored(connection, text_hash, in_use.model) if in_use else None
    if vectors is not None:
        _insert(connection, ((slot * PASSAGES + i, vector.tobytes()) for i, vector in enumerate(vectors)))
    return vectors


def detach(connection: apsw.Connection, slots: Iterable[int]) -> None:
    """Takes slots that are no longer searched out of sqlite-vec; the side records stay until `sweep`."""
    if active(connection) is None:
        return
    for slot in slots:
        for passage in range(PASSAGES):
            connection.execute("DELETE FROM passages WHERE rowid = ?", (slot * PASSAGES + passage,))
            if not connection.changes():
                break


def stored(connection: apsw.Connection, text_hash: bytes, model: str) -> Floats | None:
    """The passages of a text under a model."""
    rows = connection.execute(
        "SELECT vector FROM vectors WHERE text_hash = ? AND model = ? ORDER BY passage", (text_hash, model)
    )
    passages = [vector for (vector,) in rows]
    return _matrix(passages) if passages else None


def load(connection: apsw.Connection) -> Living | None:
    """All that the index needs, None before the first model."""
    in_use = active(connection)
    if in_use is None:
        return None
    slots, passages = [], []
    for slot, _, vector in connection.execute(_LIVING, (in_use.model,)):
        slots.append(slot)
        passages.append(vector)
    matrix = _matrix(passages) if passages else np.empty((0, in_use.dimensions), np.float32)
    return Living(np.array(slots, np.int64), matrix)


def missing(connection: apsw.Connection, model: str, limit: int) -> list[Unembedded]:
    """Living memories without vectors under a model, the newest first."""
    rows = connection.execute(
        "SELECT m.id, m.n, m.text_hash, m.text, m.body_start, m.body_end, m.speaker"
        f" FROM memories m WHERE {_SEARCHED} AND {_LACKS} ORDER BY m.slot DESC LIMIT :limit",
        {"model": model, "limit": limit},
    )
    return [Unembedded(id, n, key, text[start:end], speaker) for id, n, key, text, start, end, speaker in rows]


def lacking(connection: apsw.Connection, model: str, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Slots after one, and the texts' hashes, of living memories without vectors under a model."""
    rows = connection.execute(
        f"SELECT m.slot, m.text_hash FROM memories m WHERE m.slot > :after AND {_SEARCHED} AND {_LACKS}"
        " ORDER BY m.slot LIMIT :limit",
        {"model": model, "after": after, "limit": limit},
    )
    return [(slot, text_hash) for slot, text_hash in rows]


def coverage(connection: apsw.Connection, model: str) -> Coverage:
    """How far a model's vectors are complete."""
    rows = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {_LACKS}) FROM memories m WHERE {_SEARCHED}", {"model": model}
    )
    total, lacking = next(iter(rows))
    return Coverage(total - lacking, lacking)


def sweep(connection: apsw.Connection, models: Sequence[str]) -> int:
    """Forgets side records of other models, and of texts that no memory has, living or not; how many."""
    marks = ", ".join("?" * len(models))
    connection.execute(
        f"DELETE FROM vectors WHERE model NOT IN ({marks}) OR text_hash NOT IN (SELECT text_hash FROM memories)",
        tuple(models),
    )
    return connection.changes()


def _insert(connection: apsw.Connection, rows: Iterable[tuple[int, bytes]]) -> None:
    connection.executemany("INSERT INTO passages (rowid, embedding) VALUES (?, ?)", rows)


def _matrix(vectors: Sequence[bytes]) -> Floats:
    return np.frombuffer(b"".join(vectors), "<f4").astype(np.float32).reshape(len(vectors), -1)

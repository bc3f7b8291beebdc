"""Growing numpy columns that readers use without a lock: written past the published count, then published."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NONE = -1
_FEWEST = 64
# Copying a vector costs some times as much as comparing it in its place.
_GATHER = 4


@dataclass(frozen=True, slots=True)
class Columns:
    """One value a row for all the ranking and the filters need; codes stand for names, -1 for none."""

    slot: Longs
    created: Longs
    alive: Bools
    timed: Bools
    counted: Bools
    naming: Bools
    asks: Bools
    length: Ints
    group: Ints
    previous: Ints
    next: Ints
    topic: Ints
    user: Ints
    agent: Ints
    session: Ints
    speaker: Ints
    kind: Ints

    @classmethod
    def empty(cls, capacity: int) -> Self:
        """Room for that many rows."""
        return cls(*(np.zeros(capacity, _DTYPES[f.name]) for f in fields(cls)))

    def grown(self, capacity: int) -> Columns:
        """The same rows with more room; readers of the old ones are not disturbed."""
        grown = Columns.empty(capacity)
        for f in fields(self):
            old = getattr(self, f.name)
            getattr(grown, f.name)[: len(old)] = old
        return grown

    def first(self, count: int) -> Columns:
        """Views of the first rows."""
        return Columns(*(getattr(self, f.name)[:count] for f in fields(self)))


_DTYPES: dict[str, npt.DTypeLike] = {
    f.name: {"Longs": np.int64, "Bools": np.bool_, "Ints": np.int32}[str(f.type)] for f in fields(Columns)
}


class VectorTable:
    """The vectors of one model, a place for each passage, and the row of the index each belongs to."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        # Matrix, row of each place and places in use: one value, so that a reader sees three that fit.
        self._state: tuple[Floats, Ints, int] = (np.zeros((0, dimensions), np.float32), np.zeros(0, np.int32), 0)
        self._live = 0
        self._several = False

    def put(self, row: int, vectors: Floats) -> None:
        """The passages of a row, instead of those it had."""
        self.drop(row)
        count = self._state[2]
        if count + len(vectors) > len(self._state[1]):
            self._grow(2 * self._live + len(vectors))
        matrix, rows, count = self._state
        end = count + len(vectors)
        matrix[count:end], rows[count:end] = vectors, row
        self._several = self._several or len(vectors) > 1
        self._live += len(vectors)
        self._state = (matrix, rows, end)

    def fill(self, rows: Ints, vectors: Floats) -> None:
        """Everything at once, instead of all there was."""
        self._several = len(np.unique(rows)) < len(rows)
        self._live = len(rows)
        self._state = (vectors, rows, len(rows))

    def drop(self, row: int) -> None:
        """Forgets the passages of a row."""
        _, rows, count = self._state
        places = np.flatnonzero(rows[:count] == row)
        rows[places] = NONE
        self._live -= len(places)

    def _grow(self, capacity: int) -> None:
        """More room, and none for what was dropped; readers keep the old arrays."""
        old_matrix, old_rows, count = self._state
        kept = np.flatnonzero(old_rows[:count] != NONE)
        matrix = np.zeros((max(capacity, _FEWEST), self.dimensions), np.float32)
        rows = np.zeros(len(matrix), np.int32)
        matrix[: len(kept)], rows[: len(kept)] = old_matrix[kept], old_rows[kept]
        self._state = (matrix, rows, len(kept))

    def cosines(self, query: Floats, needed: Bools) -> Floats:
        """For each needed row the cosine of its best passage; NaN where it has none, and for most of the others."""
        matrix, rows, used = self._state
        count = len(needed)
        # Dropped passages and rows newer than the view fall into one place more, which is cut off.
        places = np.where((rows[:used] < count) & (rows[:used] >= 0), rows[:used], count)
        best = np.full(count + 1, np.nan, np.float32)
        chosen = np.flatnonzero(np.append(needed, False)[places])
        if len(chosen) * _GATHER < used:
            places, scores = places[chosen], matrix[chosen] @ query
        else:
            scores = matrix[:used] @ query
        if self._several:
            np.fmax.at(best, places, scores)
        else:
            best[places] = scores
        return best[:count]

    def __len__(self) -> int:
        return self._live

    @property
    def nbytes(self) -> int:
        """What the vectors take in memory."""
        return self._state[0].nbytes + self._state[1].nbytes

"""The index as it was at one moment, and the filters over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import apsw
import numpy as np

from hiveminddb.store.columns import NONE, Bools, Columns, Ints, Longs
from hiveminddb.store.filters import Filters, filter_clause

_UNKNOWN = -2


class Codes:
    """Small numbers for names, given in the order of their first use."""

    def __init__(self) -> None:
        self._codes: dict[object, int] = {}

    def of(self, name: object) -> int:
        """The code of a name, a new one for a new name; NONE for None."""
        return NONE if name is None else self._codes.setdefault(name, len(self._codes))

    def get(self, name: object) -> int | None:
        """The code of a name that is known."""
        return self._codes.get(name)

    def names(self) -> list[str]:
        """All names, in the order of their codes."""
        return [str(name) for name in list(self._codes)]

    def __len__(self) -> int:
        return len(self._codes)


@dataclass(frozen=True, slots=True)
class View:
    """The index as it was at one moment, for one search."""

    columns: Columns
    count: int
    groups: int
    codes: Mapping[str, Codes]
    speaker_words: Sequence[str | None]
    ids: Sequence[str]

    def scope(self, user_id: str | None) -> Bools:
        """The living rows of a user, or all."""
        if user_id is None:
            return self.columns.alive.copy()
        code = self.codes["user_id"].get(user_id)
        of_user: Bools = self.columns.user == (_UNKNOWN if code is None else code)
        return self.columns.alive & of_user

    def allowed(self, connection: apsw.Connection, filters: Filters, scope: Bools) -> Bools:
        """The rows of a scope that meet the filters; only tags are looked up in SQL."""
        columns = self.columns
        masks = [scope]
        for name, column in filtered(columns):
            if (value := getattr(filters, name)) is not None:
                code = self.codes[name].get(value)
                masks.append(column == (_UNKNOWN if code is None else code))
        if filters.since is not None:
            masks.append(columns.created >= filters.since)
        if filters.until is not None:
            masks.append(columns.created < filters.until)
        if filters.tags:
            masks.append(self._tagged(connection, filters.tags))
        allowed: Bools = np.logical_and.reduce(masks)
        return allowed

    def with_neighbours(self, rows: Bools) -> Bools:
        """Those rows, and those that may lend them score."""
        padded = np.append(rows, False)
        near = padded[np.minimum(self.columns.previous, self.count)] | padded[np.minimum(self.columns.next, self.count)]
        joined: Bools = rows | near
        return joined

    def _tagged(self, connection: apsw.Connection, tags: tuple[str, ...]) -> Bools:
        clause, bindings = filter_clause(Filters(tags=tags), "m")
        slots = connection.execute(f"SELECT group_concat(m.slot) FROM memories m WHERE {clause}", bindings).get
        mask = np.zeros(self.count, np.bool_)
        if slots is not None:
            mask[self.rows_of(np.fromstring(str(slots), dtype=np.int64, sep=","))] = True
        return mask

    def rows_of(self, slots: Longs) -> Ints:
        """The rows of those slots that the view has."""
        rows = np.searchsorted(self.columns.slot, slots)
        inside = rows < self.count
        rows, slots = rows[inside], slots[inside]
        found: Ints = rows[self.columns.slot[rows] == slots].astype(np.int32)
        return found

    def names(self, scope: Bools) -> frozenset[str]:
        """The names, in lower case, of the speakers among those rows."""
        words = self.speaker_words
        if not words:
            return frozenset()
        present = np.flatnonzero(np.bincount(self.columns.speaker[scope] + 1)[1:])
        return frozenset(word for code in present.tolist() if (word := words[code]))


def filtered(columns: Columns) -> tuple[tuple[str, Ints], ...]:
    """The columns a filter may name, by the name it has there."""
    return (
        ("topic", columns.topic), ("user_id", columns.user), ("agent_id", columns.agent),
        ("session_id", columns.session), ("speaker", columns.speaker), ("memory_type", columns.kind),
    )  # fmt: skip

"""Searching what has been invalidated: by words alone, read when asked for, since the indexes hold the living only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from hiveminddb.store.cues import index_text
from hiveminddb.store.filters import Filters, filter_clause
from hiveminddb.store.postings import Tokenizer

# Invalidated memories looked at, the latest first: some 50 ms.
LOOKED_AT = 5000


@dataclass(frozen=True, slots=True)
class Retired:
    """An invalidated memory and the share of the query's terms it has."""

    id: str
    slot: int
    share: float


def retired(
    connection: apsw.Connection, tokenizer: Tokenizer, terms: Sequence[str], filters: Filters, limit: int
) -> list[Retired]:
    """The invalidated memories that meet the filters and have most of the terms, best first, ties by id."""
    clause, bindings = filter_clause(filters)
    rows = connection.execute(
        f"SELECT m.id, m.slot, m.text, m.body_start, m.body_end FROM memories m WHERE {clause}"
        " AND m.invalidated_at IS NOT NULL ORDER BY m.invalidated_at DESC, m.slot DESC LIMIT ?",
        (*bindings, LOOKED_AT),
    )
    wanted, found = set(terms), []
    for id, slot, text, start, end in rows:
        held = wanted.intersection(tokenizer.terms(index_text(text[start:end])))
        if held:
            found.append(Retired(id, slot, len(held) / len(wanted)))
    return sorted(found, key=lambda one: (-one.share, one.id))[:limit]

"""Finding memories by words, by meaning, or by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import apsw
import numpy as np

from hiveminddb.model import Arm
from hiveminddb.store import ranking
from hiveminddb.store.columns import NONE, Bools, Floats, Ints
from hiveminddb.store.cues import TERMS, Cues, index_text, legible, lookup_text, names_agent, read_query
from hiveminddb.store.filters import Filters
from hiveminddb.store.fulltext import indexed_upto
from hiveminddb.store.index import Index
from hiveminddb.store.ranking import WEIGHTS, Signals, Weights
from hiveminddb.store.retired import retired
from hiveminddb.store.view import View

Mode = Literal["hybrid", "lexical", "vector"]

# Rows a search by substring looks at most, the newest first.
_SCANNED = 20_000


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; `vector` is that of `query_text`, `now` gives "yesterday" its meaning (microseconds)."""

    text: str
    vector: Floats | None = None
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    mode: Mode = "hybrid"
    explain: bool = False
    now: int | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A memory that was found; `why` has the arms that spoke for or against it, where asked for."""

    id: str
    slot: int
    score: float
    why: Mapping[str, Arm] | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and the mode that was possible."""

    hits: tuple[Scored, ...]
    mode: Mode


def search(connection: apsw.Connection, index: Index, query: Query, weights: Weights = WEIGHTS) -> SearchResult:
    """The memories that answer a query best; any text is a legal query, the same data give the same answer."""
    # Before the first statement: the connection then sees at least what the view has.
    view = index.view()
    scope = view.scope(query.filters.user_id)
    allowed = view.allowed(connection, query.filters, scope)
    cosines = _cosines(index, view, query, allowed)
    mode = query.mode if cosines is not None else "lexical"
    if mode == "vector" and cosines is not None:
        raw = parts = {"vector": cosines}
        candidates = allowed & ~np.isnan(cosines)
    else:
        signals = _signals(connection, index, view, query, scope, cosines, weights)
        raw, parts = ranking.arms(signals, view.columns, allowed, weights)
        candidates = allowed & _found(signals)
        if query.mode != "lexical" and "lexical" in parts:
            # Of a talk also the turn after one that matches: it is brought in by no word, and here by no vector.
            candidates |= allowed & (parts["lexical"] > 0) & (view.columns.session != NONE)
    scores = ranking.total(parts, view.count)
    rows = ranking.best(scores, candidates, view.ids, query.limit)
    hits = [_scored(view, raw, scores, candidates, row, query.explain) for row in rows.tolist()]
    if query.filters.include_invalidated and mode != "vector":
        hits = _with_retired(connection, index, query, hits, weights)
    return SearchResult(tuple(hits), mode)


def _with_retired(
    connection: apsw.Connection, index: Index, query: Query, hits: Sequence[Scored], weights: Weights
) -> list[Scored]:
    text = read_query(legible(query.text), ()).text
    terms = list(dict.fromkeys(index.tokenizer.terms(lookup_text(text))))[:TERMS]
    found = [
        Scored(
            one.id,
            one.slot,
            weights.lexical * one.share,
            {"invalidated": Arm(rank, one.share)} if query.explain else None,
        )
        for rank, one in enumerate(
            retired(connection, index.tokenizer, terms, query.filters, query.limit) if terms else (), start=1
        )
    ]
    return sorted([*hits, *found], key=lambda hit: (-hit.score, hit.id))[: query.limit]


def known_names(index: Index, filters: Filters) -> frozenset[str]:
    """The names, in lower case, of those who speak in what a user may see: for `query_text`."""
    view = index.view()
    return view.names(view.scope(filters.user_id))


def _cosines(index: Index, view: View, query: Query, allowed: Bools) -> Floats | None:
    table = index.vectors
    if query.mode == "lexical" or query.vector is None or table is None or not len(table):
        return None
    # Of a query so long that it has several passages the first says what it is about.
    vector = np.atleast_2d(np.asarray(query.vector, np.float32))[0]
    return table.cosines(vector, view.with_neighbours(allowed)) if len(vector) == table.dimensions else None


def _found(signals: Signals) -> Bools:
    """A row is a candidate by one arm alone; neighbours, names and dates only order."""
    found: Bools = signals.lexical > 0
    if signals.cosines is not None:
        found |= ~np.isnan(signals.cosines)
    if signals.phrased is not None:
        found |= signals.phrased > 0
    if signals.mentioned is not None:
        found |= signals.mentioned
    return found


def _signals(
    connection: apsw.Connection,
    index: Index,
    view: View,
    query: Query,
    scope: Bools,
    cosines: Floats | None,
    weights: Weights,
) -> Signals:
    text = legible(query.text)
    cues = read_query(text, view.names(scope), query.now)
    columns = view.columns
    terms = list(dict.fromkeys(index.tokenizer.terms(lookup_text(cues.text))))[:TERMS]
    found = (index.postings.get(connection, term, columns.slot) for term in terms)
    postings = [posting for posting in found if len(posting.rows)]
    lexical = ranking.bm25(postings, columns.length, scope, weights.k1, weights.b)
    phrased = _phrased(connection, index, view, cues) if terms else _containing(connection, view, text)
    mentioned = _mentioned(connection, index, view, cues)
    return Signals(
        lexical=lexical,
        group=ranking.group_bm25(postings, columns, view.groups, scope, weights),
        cosines=cosines,
        named=_named(view, cues, text, mentioned),
        mentioned=mentioned,
        dated=ranking.dated(columns.created, cues.periods, weights) if cues.periods else None,
        phrased=phrased,
        asks_when=cues.asks_when,
        asks_number=cues.asks_number,
        asks_name=cues.asks_name,
    )


def _named(view: View, cues: Cues, text: str, mentioned: Bools | None) -> Bools | None:
    """The rows whose speaker or agent the query names, and those without a speaker that mention the name."""
    speakers = [word in cues.names for word in view.speaker_words]
    agents = [names_agent(text, agent) for agent in view.codes["agent_id"].names()]
    named = [
        _chosen(flags, codes)
        for flags, codes in ((speakers, view.columns.speaker), (agents, view.columns.agent))
        if any(flags)
    ]
    if mentioned is not None:
        named.append(mentioned)
    return np.logical_or.reduce(named) if named else None


def _mentioned(connection: apsw.Connection, index: Index, view: View, cues: Cues) -> Bools | None:
    if not cues.names:
        return None
    mentioned = np.zeros(view.count, np.bool_)
    for term in index.tokenizer.terms(lookup_text(" ".join(cues.names)))[:TERMS]:
        mentioned[index.postings.get(connection, term, view.columns.slot).rows] = True
    mentioned &= view.columns.speaker == NONE
    return mentioned


def _chosen(flags: Sequence[bool], codes: Ints) -> Bools:
    # The last one is for rows without a name (-1), and for names newer than the view.
    table = np.array([*flags, False])
    chosen: Bools = table[np.minimum(codes, len(flags))]
    return chosen


def _phrased(connection: apsw.Connection, index: Index, view: View, cues: Cues) -> Floats | None:
    """The share of the query's phrases and identifiers that stand in each row, word after word."""
    shares = np.zeros(view.count, np.float32)
    for phrase in cues.phrases:
        terms = index.tokenizer.terms(index_text(phrase))
        if terms:
            shares[_matching(connection, view, phrase)] += 1 / len(cues.phrases)
            shares[_just_written(connection, index, view, terms)] += 1 / len(cues.phrases)
    return shares if shares.any() else None


def _matching(connection: apsw.Connection, view: View, phrase: str) -> Ints:
    match = '"' + index_text(phrase).replace('"', " ") + '"'
    rows = connection.execute("SELECT group_concat(rowid) FROM entries WHERE entries MATCH ?", (match,)).get
    if rows is None:
        return np.empty(0, np.int32)
    return view.rows_of(np.fromstring(str(rows), dtype=np.int64, sep=","))


def _just_written(connection: apsw.Connection, index: Index, view: View, terms: Sequence[str]) -> list[int]:
    """The rows that hold the terms one after the other and have not reached the full-text index yet."""
    slots = view.columns.slot
    first = int(np.searchsorted(slots, indexed_upto(connection), side="right"))
    if first == view.count:
        return []
    holders = [index.postings.get(connection, term, slots).rows for term in set(terms)]
    rows = [row for row in reduce(np.intersect1d, holders).tolist() if row >= first]
    return [row for row in rows if _in_a_row(index.tokenizer.terms(_text_at(connection, int(slots[row]))), terms)]


def _text_at(connection: apsw.Connection, slot: int) -> str:
    text: str | None = connection.execute(
        "SELECT substr(text, body_start + 1, body_end - body_start) FROM memories WHERE slot = ?", (slot,)
    ).get
    return index_text(text or "")


def _in_a_row(terms: Sequence[str], wanted: Sequence[str]) -> bool:
    length = len(wanted)
    return any(list(terms[i : i + length]) == list(wanted) for i in range(len(terms) - length + 1))


def _containing(connection: apsw.Connection, view: View, text: str) -> Floats | None:
    """The rows that hold the query as it stands: for one without any word, such as "++"."""
    wanted = text.strip()
    if not wanted:
        return None
    slots = connection.execute(
        "SELECT slot FROM (SELECT slot, text FROM memories ORDER BY slot DESC LIMIT ?) WHERE instr(text, ?)",
        (_SCANNED, wanted),
    ).fetchall()
    shares = np.zeros(view.count, np.float32)
    shares[view.rows_of(np.array([slot for (slot,) in slots], np.int64))] = 1
    return shares


def _scored(view: View, raw: ranking.Arms, scores: Floats, candidates: Bools, row: int, explain: bool) -> Scored:
    why = None
    if explain:
        why = {
            name: Arm(1 + int(np.count_nonzero(column[candidates] > column[row])), float(column[row]))
            for name, column in raw.items()
            if column[row] and not np.isnan(column[row])
        }
    return Scored(view.ids[row], int(view.columns.slot[row]), float(scores[row]), why)

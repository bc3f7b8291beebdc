"""How a search orders what it found: every signal as a column over the rows, and one table of their weights; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hiveminddb.store.columns import NONE, Bools, Columns, Floats, Ints, Longs
from hiveminddb.store.dates import Period
from hiveminddb.store.postings import Posting

Arms = dict[str, Floats]

# Neighbours made within six hours belong to one sitting: turns of a talk, steps of one piece of work.
SITTING = 6 * 3600 * 1_000_000
# Terms from which on a turn of a talk is as long as any.
LONG = 25


@dataclass(frozen=True, slots=True)
class Weights:
    """What each signal counts: a cosine counts one, BM25 comes as a share of the query's best, flags as they are.

    Fitted on LoCoMo's development half (recall@10 .832, MRR .673) under the guard of `bench/retrieval` (MRR .924; the
    cosine alone .889), on the vectors of two llama.cpp kernels at once: they differ by .001 in a cosine, and that alone
    moves MRR by .003. "Worth" is what recall@10 and MRR of LoCoMo, or MRR of the notes, lose without a signal; no value
    is sharp, a fifth more or less moves recall@10 by less than .005.
    """

    lexical: float = 0.25
    """The entry's own BM25 and what is lent of it; worth .022 and .046."""
    k1: float = 1.1
    """How fast repeated words stop counting in an entry."""
    b: float = 0.2
    """How much a long entry is marked down: little, entries are short."""
    before: float = 0.53
    """Of the cosine of the entry before, in one sitting; worth .006 and .029: an answer is found by its question."""
    after: float = 0.36
    """Of the cosine of the entry after, in one sitting; worth .008 and .016."""
    lexical_before: float = 0.46
    """Of the BM25 of the entry before, in one sitting; worth .005 and .007."""
    apart: float = 0.2
    """The part of the three above that is lent between entries of different sittings; all of it costs notes .02."""
    group: float = 0.24
    """The BM25 of the whole session, or topic, as one document; worth .015 and .036."""
    topic: float = 0.25
    """The part of `group` that counts for entries without a session: a topic holds more kinds of things."""
    group_k1: float = 0.65
    """As `k1`, for groups."""
    group_b: float = 0.78
    """As `b`, for groups: their lengths differ."""
    group_size: int = 64
    """Entries from which on a group counts less, by how much larger it is."""
    speaker: float = 0.4
    """The query names the entry's speaker or agent; worth .028 and .075, notes .005."""
    date: float = 0.5
    """The entry was made in a month, year or day the query names; worth .010 and .015, notes .015."""
    day: float = 0.3
    """That much more when it names the very day; worth notes .006."""
    when: float = 0.32
    """The query asks when, and the entry has words of time; worth .004 and .013."""
    number: float = 0.3
    """The query asks how many, and the entry has digits or words of number; worth .001 and .003."""
    naming: float = 0.18
    """The query asks where, who or which, and the entry has a name; worth .003 and .007, notes .005."""
    length: float = 0.08
    """A turn of a talk has `LONG` terms, or a share of it: greetings and thanks tell little; worth .001 and .004."""
    asks: float = -0.14
    """The entry ends in a question; worth .004 and .003."""
    phrase: float = 0.4
    """The share of the query's quoted phrases and identifiers the entry has word after word; worth notes .006."""


WEIGHTS = Weights()


@dataclass(frozen=True, slots=True)
class Signals:
    """All that is known of the rows for one query; a column of zeros, or None, where the query asks for nothing."""

    lexical: Floats
    group: Floats
    cosines: Floats | None
    named: Bools | None
    mentioned: Bools | None
    dated: Floats | None
    phrased: Floats | None
    asks_when: bool
    asks_number: bool
    asks_name: bool


def bm25(postings: Sequence[Posting], lengths: Ints, scope: Bools, k1: float, b: float) -> Floats:
    """BM25 of each row for the terms, its statistics those of the scope alone."""
    scores = np.zeros(len(lengths), np.float32)
    inside = int(np.count_nonzero(scope))
    if not inside or not postings:
        return scores
    average = max(float(np.mean(lengths, where=scope)), 1.0)
    norms = (k1 * (1 - b) + (k1 * b / average) * lengths).astype(np.float32)
    for posting in postings:
        kept = scope[posting.rows]
        rows, counts = posting.rows[kept], posting.counts[kept].astype(np.float32)
        weight = np.float32(_idf(len(rows), inside) * (k1 + 1))
        scores[rows] += weight * counts / (counts + norms[rows])
    return scores


def group_bm25(postings: Sequence[Posting], columns: Columns, groups: int, scope: Bools, weights: Weights) -> Floats:
    """For each row the BM25 of its group as one document; a very large group says little about each of its rows."""
    group = columns.group
    members = np.bincount(group, weights=scope, minlength=groups)
    lengths = np.bincount(group, weights=columns.length * scope, minlength=groups)
    present = members > 0
    inside = int(np.count_nonzero(present))
    scores = np.zeros(groups)
    if not inside or not postings:
        return np.zeros(len(group), np.float32)
    k1, b = weights.group_k1, weights.group_b
    norms = k1 * (1 - b + b * lengths / max(float(lengths[present].mean()), 1.0))
    for posting in postings:
        kept = scope[posting.rows]
        counts = np.bincount(group[posting.rows[kept]], weights=posting.counts[kept], minlength=groups)
        weight = _idf(int(np.count_nonzero(counts)), inside) * (k1 + 1)
        scores += weight * counts / (counts + norms)
    scores *= np.minimum(1.0, weights.group_size / np.maximum(members, 1.0))
    spread: Floats = scores.astype(np.float32)[group]
    spread[columns.session == NONE] *= np.float32(weights.topic)
    return spread


def _idf(holding: int, inside: int) -> float:
    return float(np.log1p((inside - holding + 0.5) / (holding + 0.5)))


def dated(created: Longs, periods: Sequence[Period], weights: Weights) -> Floats:
    """For each row what its time counts: as much as the narrowest of the periods it was made in."""
    worth = np.zeros(len(created), np.float32)
    for period in periods:
        weight = np.float32(weights.date + (weights.day if period.is_day else 0))
        np.maximum(worth, _within(created, period) * weight, out=worth)
    return worth


def _within(created: Longs, period: Period) -> Bools:
    if period.end:
        return (created >= period.start) & (created < period.end)
    days = created.astype("M8[us]").astype("M8[D]")
    months = days.astype("M8[M]")
    within: Bools = months.astype(np.int64) % 12 + 1 == period.month
    if period.day:
        within &= (days - months.astype("M8[D]")).astype(np.int64) + 1 == period.day
    return within


def arms(signals: Signals, columns: Columns, scope: Bools, weights: Weights) -> tuple[Arms, Arms]:
    """The raw columns by the name of their arm, and what each adds to the score."""
    raw: Arms = {}
    parts: Arms = {}
    lend = Lending(columns, weights.apart)
    if signals.cosines is not None:
        distance = _from_middle(signals.cosines, scope)
        raw["vector"], parts["vector"] = signals.cosines, distance + lend(distance, weights.before, weights.after)
    if best := float(np.max(signals.lexical, initial=0, where=scope)):
        raw["lexical"] = signals.lexical
        spread = signals.lexical + lend(signals.lexical, weights.lexical_before, 0)
        parts["lexical"] = spread * (weights.lexical / float(np.max(spread, initial=best, where=scope)))
    if best := float(np.max(signals.group, initial=0, where=scope)):
        raw["group"], parts["group"] = signals.group, signals.group * (weights.group / best)
    if signals.named is not None:
        raw["name"] = signals.named.astype(np.float32)
        parts["name"] = raw["name"] * np.float32(weights.speaker)
    if signals.dated is not None:
        raw["date"] = parts["date"] = signals.dated
    if signals.phrased is not None:
        raw["phrase"], parts["phrase"] = signals.phrased, signals.phrased * np.float32(weights.phrase)
    for name, asked, has, weight in (
        ("when", signals.asks_when, columns.timed, weights.when),
        ("number", signals.asks_number, columns.counted, weights.number),
        ("naming", signals.asks_name, columns.naming, weights.naming),
    ):
        if asked:
            raw[name] = has.astype(np.float32)
            parts[name] = raw[name] * np.float32(weight)
    raw["asks"] = columns.asks.astype(np.float32)
    parts["asks"] = raw["asks"] * np.float32(weights.asks)
    raw["length"] = (np.minimum(columns.length, LONG) * (columns.session != NONE)).astype(np.float32)
    parts["length"] = raw["length"] * np.float32(weights.length / LONG)
    return raw, parts


def _from_middle(cosines: Floats, scope: Bools) -> Floats:
    """Cosines as the distance from their mean: a row with no neighbour, or no vector yet, neither gains nor loses."""
    known = ~np.isnan(cosines)
    inside = known & scope
    middle = np.float32(cosines[inside].mean()) if inside.any() else np.float32(0)
    return np.where(known, cosines - middle, np.float32(0))


class Lending:
    """What the neighbours of each row lend to it: their whole weight within one sitting, a part of it further apart."""

    def __init__(self, columns: Columns, apart: float) -> None:
        # One more place for rows without a neighbour (-1) and for neighbours newer than the view. As wide as
        # numpy's own indices, or it would widen them anew each time.
        count = len(columns.slot)
        created = np.append(columns.created, 0)
        self._places = [np.minimum(places, count).astype(np.intp) for places in (columns.previous, columns.next)]
        self._shares = [
            np.where(np.abs(created[places] - columns.created) < SITTING, np.float32(1), np.float32(apart))
            for places in self._places
        ]

    def __call__(self, scores: Floats, before: float, after: float) -> Floats:
        padded = np.append(scores, np.float32(0))
        lent = np.zeros(len(scores), np.float32)
        for places, shares, weight in zip(self._places, self._shares, (before, after), strict=True):
            if weight:
                lent += padded[places] * shares * np.float32(weight)
        return lent


def total(parts: Arms, count: int) -> Floats:
    """The score of each row."""
    scores = np.zeros(count, np.float32)
    for part in parts.values():
        scores += part
    return scores


def best(scores: Floats, candidates: Bools, ids: Sequence[str], limit: int) -> Ints:
    """The candidates with the highest scores, best first, ties by id."""
    rows = np.flatnonzero(candidates)
    if len(rows) > limit:
        among = scores[rows]
        bar = np.partition(among, len(rows) - limit)[len(rows) - limit]
        rows = rows[among >= bar]
    ordered = sorted(rows.tolist(), key=lambda row: (-float(scores[row]), ids[row]))
    return np.array(ordered[:limit], np.int32)

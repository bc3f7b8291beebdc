"""Changes that other nodes made, taken in: appended to the log and projected as local ones are. On the writer thread.

Called with what consensus has ordered and with what anti-entropy brings; a change may come from both, in any order of
origins, and any number of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby

from hiveminddb.daemon import copies
from hiveminddb.daemon.admission import admitted
from hiveminddb.daemon.pipeline import KIND, Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.tidying import Renamed, follow, leave_one_head, renamed_file
from hiveminddb.errors import Corrupt
from hiveminddb.model import Change, NodeId
from hiveminddb.store import ahead, history, topic_files
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document
from hiveminddb.sync.document import Content
from hiveminddb.vault.topics import Topics

# Kept changes of an origin that one transaction takes: its pages shall fit into the writer's cache.
AT_ONCE = 1_000
# What a signed integer of the database holds.
_MOST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Taken:
    """How many changes were new here, and origins of which earlier changes are lacking: theirs were left."""

    new: int
    lacking: frozenset[NodeId]


@dataclass(frozen=True, slots=True)
class _Placed:
    n: int
    change: Change


class Intake:
    """Takes in changes, in batches; what is known already is passed over."""

    def __init__(self, pipeline: Pipeline, topics: Topics) -> None:
        self._pipeline = pipeline
        self._topics = topics

    def take(self, tx: Transaction, changes: Sequence[Change], ordered: bool = False) -> Taken:
        """Append and project; each origin's changes come in the order of their counters.

        Those beyond a gap are left, or kept for later where consensus has `ordered` them. A change whose update says
        nothing that can be merged is kept in the log and changes nothing. Corrupt where one cannot even be kept there.
        """
        placed: list[_Placed] = []
        lacking: set[NodeId] = set()
        for origin, group in groupby(changes, key=lambda change: change.origin):
            following, beyond = _following(tx, origin, brought := list(group))
            # As many again at most: many steps share a transaction.
            last = tx.next_counter(origin) - 1 + len(following)
            following += ahead.take(tx.connection, origin, last, len(brought))
            if beyond:
                lacking.add(origin)
            if ordered:
                ahead.keep(tx.connection, beyond)
            places = tx.append_new(following)
            placed += map(_Placed, places, following)
        self._take_placed(tx, placed)
        return Taken(len(placed), frozenset(lacking))

    def take_kept(self, tx: Transaction) -> int:
        """Take what was kept for later and follows now, at most `AT_ONCE` of each origin; how many that were."""
        placed: list[_Placed] = []
        for origin in ahead.origins(tx.connection):
            following = ahead.take(tx.connection, origin, tx.next_counter(origin) - 1, AT_ONCE)
            placed += map(_Placed, tx.append_new(following), following)
        self._take_placed(tx, placed)
        return len(placed)

    def _take_placed(self, tx: Transaction, placed: Sequence[_Placed]) -> None:
        if placed:
            self._pipeline.clock.witness(max(it.change.hlc for it in placed))
            with self._pipeline.many(tx):
                self._project(tx, placed)

    def _project(self, tx: Transaction, placed: Sequence[_Placed]) -> None:
        """Documents that begin here are put together, as long as nothing comes between."""
        known = history.known_before(tx.connection, list({it.change.document for it in placed}), placed[0].n)
        renamed: list[Renamed] = []
        rows: list[MemoryRow] = []
        said: set[str] = set()
        new: list[tuple[_Placed, Content]] = []
        for it in placed:
            content = None if it.change.document in known else _first(it.change)
            known.add(it.change.document)
            if content is not None:
                new.append((it, content))
                said.add(it.change.document)
                continue
            rows += self._put_new(tx, new)
            new = []
            before = tx.memory(it.change.document)
            if row := self._pipeline.absorb(tx, it.n, it.change):
                rows.append(row)
                renamed += renamed_file(tx, it.change, before, row)
                if not before or (before.text, before.alive) != (row.text, row.alive):
                    said.add(row.id)
        rows += self._put_new(tx, new)
        self._note(rows)
        self._tidy(tx, {row.id: row for row in rows}, said, renamed)

    def _put_new(self, tx: Transaction, new: Sequence[tuple[_Placed, Content]]) -> list[MemoryRow]:
        changes, places = [it.change for it, _ in new], [it.n for it, _ in new]
        return self._pipeline.put_new(tx, changes, places, [content for _, content in new]) if new else []

    def _tidy(self, tx: Transaction, rows: Mapping[str, MemoryRow], said: Set[str], renamed: Iterable[Renamed]) -> None:
        """`said` are those of the rows that are new, have another text, or live again."""
        followed: set[str] = set()
        for file in renamed:
            moved = follow(tx, self._pipeline, file, followed)
            followed.update(row.id for row in moved)
            self._note(moved)
        for row in rows.values():
            if row.alive and row.id in said:
                copies.leave_one(tx, self._pipeline, row)
        for topic in topic_files.shared_heads(tx.connection, [row.id for row in rows.values() if row.role == HEAD]):
            leave_one_head(tx, self._pipeline, topic)

    def _note(self, rows: Iterable[MemoryRow]) -> None:
        for topic in {row.topic for row in rows if row.alive}:
            self._topics.add(topic)


def _following(tx: Transaction, origin: NodeId, group: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """Those that the log lacks up to the first gap, and those beyond it."""
    found: list[Change] = []
    expected = tx.next_counter(origin)
    for at, change in enumerate(group):
        if change.counter > expected:
            return found, list(group[at:])
        if change.counter == expected:
            _check(change)
            found.append(change)
            expected += 1
    return found, []


def _check(change: Change) -> None:
    if not (0 < change.counter <= _MOST and 0 <= change.hlc <= _MOST):
        raise Corrupt(
            f"change {change.counter} of {change.origin} has an impossible time or number", "update that node"
        )


def _first(change: Change) -> Content | None:
    """What a document says after its first change; None where that is not the one that made it."""
    update = document.alone(change.update) if change.kind == KIND else None
    return admitted(update.content) if update and update.begins else None

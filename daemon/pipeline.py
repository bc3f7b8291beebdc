"""The one way in: an intent becomes a change, a change becomes rows. Runs on the store's writer thread.

File edits, API calls and peers all end in a change whose projection is made here, so that nothing can drift:
what a rebuild makes from the changes is what the live path made.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from hiveminddb.daemon.admission import admitted
from hiveminddb.daemon.births import Births
from hiveminddb.daemon.defaults import NO_DEFAULTS, Defaults, defaults_of
from hiveminddb.daemon.entries import Author, NewEntry
from hiveminddb.daemon.fresh import Fresh
from hiveminddb.daemon.projection import HEAD, Life, project
from hiveminddb.errors import Corrupt
from hiveminddb.model import Action, Change, DocumentId, NodeId
from hiveminddb.store import history, memories, topic_files, vectors
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document
from hiveminddb.sync.clock import Clock, from_microseconds, to_microseconds
from hiveminddb.sync.document import Content

log = logging.getLogger(__name__)

KIND = "memory"

# Under what kind the state of a document is kept whose first change has not come yet: it has no row.
INCOMPLETE = "incomplete"

# Topics whose front matter is kept parsed; a miss costs one query.
_DEFAULTS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Put:
    """Rows that changes put, with their places in the log; index slots given up, and topics that rows have left."""

    rows: Sequence[MemoryRow]
    places: Sequence[int]
    retired: Sequence[int] = ()
    left: Sequence[str] = ()


class Watcher(Protocol):
    """Who is told of what a transaction put, once it is durable (on the writer thread)."""

    def committed(self, put: Put) -> None: ...


class Pipeline:
    """Makes changes in this node's name and turns changes into rows; every method needs the open transaction."""

    def __init__(self, node: NodeId, clock: Clock, watcher: Watcher, origin: NodeId | None = None) -> None:
        self.node, self.origin = node, origin or node
        self.clock = clock
        self.fresh = Fresh()
        self._watcher = watcher
        self._silent = False
        self._defaults: OrderedDict[str, Defaults] = OrderedDict()
        self._unsettled: set[str] = set()
        # Topics whose entries wait for the end of `many`; a dict keeps their order.
        self._outdated: dict[str, None] | None = None

    @property
    def names(self) -> frozenset[NodeId]:
        """The origins under which changes of this node stand in the log."""
        return frozenset((self.node, self.origin))

    def has_made(self, tx: Transaction, id: str) -> bool:
        """Whether this node made a document, it alone or it too."""
        return any(history.made_at(tx.connection, id, origin) for origin in self.names)

    def add(self, tx: Transaction, entries: Sequence[NewEntry]) -> list[MemoryRow]:
        """New documents, in the order given."""
        counter, births = tx.next_counter(self.origin), Births(tx.connection)
        changes, new = [], []
        for place, entry in enumerate(entries):
            id, update = births.of(entry)
            changes.append(self._change(counter + place, id, "add", entry.author, update, entry.written_at))
            fields = {name: value for name, value in entry.fields.items() if value is not None}
            new.append(Content(entry.text, fields))
        tx.after_commit(partial(self.fresh.put, changes))
        return self.put_new(tx, changes, tx.append_new(changes), new)

    def put_new(
        self, tx: Transaction, changes: Sequence[Change], places: Sequence[int], contents: Sequence[Content]
    ) -> list[MemoryRow]:
        """The rows of documents that have no other change than these, which stand in the log at these places."""
        rows: list[MemoryRow] = []
        for change, content in zip(changes, contents, strict=True):
            at, slot = to_microseconds(change.hlc), tx.counters.slot + 1 + len(rows)
            rows.append(self._project(tx, change.document, content, Life(at, at), slot))
        before = self._all_defaults(tx, (row.topic for row in rows if row.role == HEAD))
        tx.put_new(rows, places)
        self._announce(tx, Put(rows, places))
        self._spread_defaults(tx, before)
        return rows

    def edit(
        self,
        tx: Transaction,
        row: MemoryRow,
        action: Action,
        author: Author,
        *,
        text: str | None = None,
        fields: Mapping[str, Any] | None = None,
        state: bytes | None = None,
        client: int | None = None,
    ) -> MemoryRow:
        """A document brought to this text and these fields from `state` (its present one where not given).

        What others changed since that state stays. The row as it then is; the same row where nothing changed. The
        `client` is that of an operation on many documents (`sync/document.py`).
        """
        update = document.edit(state or self.state(tx, row.id), text=text, fields=fields, client=client)
        if update is None:
            return row
        change = self._change(tx.next_counter(self.origin), DocumentId(row.id), action, author, update)
        n = tx.append_change(change)
        assert isinstance(n, int), "a change of our own follows the one before"
        tx.after_commit(partial(self.fresh.put, [change]))
        return self.absorb(tx, n, change) or row

    def absorb(self, tx: Transaction, n: int, change: Change) -> MemoryRow | None:
        """Project a change that stands in the log as number `n`; None while the document's first change is missing."""
        old = tx.memory(change.document)
        content = self._merged(tx, n, change, old is not None)
        if content is None:
            return None
        row = self._project(tx, change.document, content, _life(tx, n, change, content, old))
        before = self._all_defaults(tx, (it.topic for it in (row, old) if it and it.role == HEAD))
        place = tx.put_memory(row, n)
        row = replace(row, slot=place.slot, version=place.version)
        retired = [old.slot] if old and (old.slot != row.slot or not row.indexed) else []
        vectors.detach(tx.connection, retired)
        self._announce(tx, Put([row], [n], retired, [old.topic] if old else ()))
        self._spread_defaults(tx, before)
        return row

    def _merged(self, tx: Transaction, n: int, change: Change, begun: bool) -> Content | None:
        """What the document says now, once it has begun; its state is kept where that is not just its first update."""
        is_first = history.begins_with(tx.connection, change.document, n)
        before = b"" if is_first else self.state(tx, change.document)
        state, content, begins = self._joined(before, change)
        begun = begun or begins
        if not (is_first and begun):
            tx.put_document(change.document, KIND if begun else INCOMPLETE, n, state)
        return admitted(content) if begun else None

    def _joined(self, before: bytes, change: Change) -> tuple[bytes, Content, bool]:
        """The state with the change, and whether it makes a document; what cannot be merged changes nothing."""
        try:
            if change.kind == KIND and (update := document.alone(change.update)):
                state = document.join(before, change.update)
                return state, document.read(state), update.begins
        except Corrupt:
            pass
        if not self._silent:
            log.warning(
                "change refused origin=%s counter=%d document=%s", change.origin, change.counter, change.document
            )
        return before, document.read(before), False

    @contextmanager
    def replaying(self, tx: Transaction) -> Iterator[None]:
        """For a rebuild: the projections are dropped and made anew in here, and the index is loaded after it."""
        self._defaults.clear()
        self._silent = True
        try:
            with self.many(tx):
                yield
        finally:
            self._silent = False

    @contextmanager
    def many(self, tx: Transaction) -> Iterator[None]:
        """For many changes: entries whose file's defaults change in here are projected anew once, at the end."""
        outdated: dict[str, None] = {}
        self._outdated = outdated
        try:
            yield
        finally:
            self._outdated = None
        for topic in outdated:
            self._refresh(tx, topic)

    def state(self, tx: Transaction, id: str) -> bytes:
        """The present state of a document that is known."""
        state = tx.state(id)
        assert state is not None, f"a row without a document: {id}"
        return state

    def _change(
        self, counter: int, target: DocumentId, action: Action, author: Author, update: bytes, at: int | None = None
    ) -> Change:
        hlc = self.clock.now() if at is None else min(self.clock.now(), from_microseconds(at))
        return Change(self.origin, counter, target, KIND, action, author.actor, author.reason, hlc, update)

    def _announce(self, tx: Transaction, put: Put) -> None:
        if not self._silent:
            tx.after_commit(lambda: self._watcher.committed(put))

    def _project(self, tx: Transaction, target: DocumentId, content: Content, life: Life, slot: int = 0) -> MemoryRow:
        is_head = content.fields.get("role") == HEAD
        own = defaults_of(content.text) if is_head else self._defaults_of(tx, content.fields["topic"])
        return project(target, content, life, own, slot)

    def _defaults_of(self, tx: Transaction, topic: str) -> Defaults:
        found = self._defaults.get(topic)
        if found is None:
            head = topic_files.head_of(tx.connection, topic)
            found = defaults_of(head.text) if head else NO_DEFAULTS
            if topic not in self._unsettled:
                self._defaults[topic] = found
            if len(self._defaults) > _DEFAULTS_KEPT:
                self._defaults.popitem(last=False)
        return found

    def _all_defaults(self, tx: Transaction, topics: Iterable[str]) -> dict[str, Defaults]:
        return {topic: self._defaults_of(tx, topic) for topic in topics}

    def _spread_defaults(self, tx: Transaction, before: Mapping[str, Defaults]) -> None:
        """Heads have changed: entries whose defaults are no longer those from before are projected anew."""
        for topic, old in before.items():
            self._defaults.pop(topic, None)
            # What a transaction made that fails in the end is not to be remembered.
            self._unsettled.add(topic)
            tx.after_commit(partial(self._unsettled.discard, topic))
            if self._defaults_of(tx, topic) != old:
                if self._outdated is None:
                    self._refresh(tx, topic)
                else:
                    self._outdated[topic] = None

    def _refresh(self, tx: Transaction, topic: str) -> None:
        defaults, changed = self._defaults_of(tx, topic), list[MemoryRow]()
        for row in (*tx.entries_of(topic), *memories.invalidated_of(tx.connection, topic)):
            if row.role != HEAD:
                content = admitted(document.read(self.state(tx, row.id)))
                fresh = project(DocumentId(row.id), content, Life(row.created_at, row.updated_at), defaults)
                fresh = replace(fresh, slot=row.slot, version=row.version)
                if fresh != row:
                    tx.refresh_memory(row, fresh)
                    changed.append(fresh)
        self._announce(tx, Put(changed, [0] * len(changed)))


def _life(tx: Transaction, n: int, change: Change, content: Content, old: MemoryRow | None) -> Life:
    """From the first to the last time that any of the document's changes up to `n` carries, in whatever order."""
    if old is None or "created_at" not in content.fields:
        low, high = history.times_of(tx.connection, change.document, n)
        return Life(to_microseconds(low), to_microseconds(high))
    at = to_microseconds(change.hlc)
    return Life(at, max(old.updated_at, at))

"""The one way in: an intent becomes a change, a change becomes rows. Runs on the store's writer thread.

File edits, API calls and (later) peers all end in a change whose projection is made here, so that nothing can drift:
what a rebuild makes from the changes is what the live path made.
"""

from __future__ import annotations

import base64
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hiveminddb.daemon.defaults import NO_DEFAULTS, Defaults, defaults_of
from hiveminddb.daemon.projection import HEAD, Life, project
from hiveminddb.model import Action, Change, DocumentId, NodeId
from hiveminddb.store import topic_files, vectors
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document
from hiveminddb.sync.clock import Clock, to_microseconds
from hiveminddb.sync.document import Content

KIND = "memory"

# Topics whose front matter is kept parsed; a miss costs one query.
_DEFAULTS_KEPT = 4096

_ID_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change and why, as its record keeps it."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A document to be made: its text and its fields, `topic`, `position` and `role` among them."""

    text: str
    fields: Mapping[str, Any]
    author: Author


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


def new_id() -> DocumentId:
    """A random id: 100 bits in lower-case base 32."""
    return DocumentId(base64.b32encode(os.urandom(13))[:_ID_CHARACTERS].decode().lower())


class Pipeline:
    """Makes changes in this node's name and turns changes into rows; every method needs the open transaction."""

    def __init__(self, node: NodeId, clock: Clock, watcher: Watcher) -> None:
        self.node = node
        self._clock = clock
        self._watcher = watcher
        self._silent = False
        self._defaults: OrderedDict[str, Defaults] = OrderedDict()

    def add(self, tx: Transaction, entries: Sequence[NewEntry]) -> list[MemoryRow]:
        """New documents, in the order given."""
        counter = tx.next_counter(self.node)
        changes, rows = [], []
        for place, entry in enumerate(entries):
            change = self._change(counter + place, new_id(), "add", entry.author, _created(entry))
            at = to_microseconds(change.hlc)
            fields = {name: value for name, value in entry.fields.items() if value is not None}
            content, slot = Content(entry.text, fields), tx.counters.slot + 1 + place
            rows.append(self._project(tx, change.document, content, Life(at, at), slot))
            changes.append(change)
        places = tx.add_memories(changes, rows)
        self._announce(tx, Put(rows, places))
        for row in rows:
            if row.role == HEAD:
                self._spread_defaults(tx, row.topic)
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
    ) -> MemoryRow:
        """A document brought to this text and these fields from `state` (its present one where not given).

        What others changed since that state stays. The row as it then is; the same row where nothing changed.
        """
        update = document.edit(state or self.state(tx, row.id), text=text, fields=fields)
        if update is None:
            return row
        change = self._change(tx.next_counter(self.node), DocumentId(row.id), action, author, update)
        n = tx.append_change(change)
        assert n is not None, "a change of our own is never known before"
        return self.absorb(tx, n, change)

    def absorb(self, tx: Transaction, n: int, change: Change) -> MemoryRow:
        """Project a change that stands in the log as number `n`."""
        before, state = tx.memory(change.document), change.update
        if before:
            state = document.merge(self.state(tx, change.document), change.update)
            tx.put_document(change.document, KIND, n, state)
        at = to_microseconds(change.hlc)
        life = Life(before.created_at if before else at, at)
        row = self._project(tx, change.document, document.read(state), life)
        place = tx.put_memory(row, n)
        row = replace(row, slot=place.slot, version=place.version)
        retired = [place.old.slot] if place.old and (place.old.slot != row.slot or not row.indexed) else []
        vectors.detach(tx.connection, retired)
        self._announce(tx, Put([row], [n], retired, [place.old.topic] if place.old else ()))
        for topic in {row.topic, place.old.topic if place.old else row.topic} if row.role == HEAD else ():
            self._spread_defaults(tx, topic)
        return row

    def replay(self, tx: Transaction, n: int, change: Change) -> None:
        """The same for a rebuild, after which the index is loaded anew."""
        self._silent = True
        try:
            self.absorb(tx, n, change)
        finally:
            self._silent = False

    def forget_defaults(self) -> None:
        """The projections are about to be dropped."""
        self._defaults.clear()

    def state(self, tx: Transaction, id: str) -> bytes:
        """The present state of a document that is known."""
        state = tx.state(id)
        assert state is not None, f"a row without a document: {id}"
        return state

    def _change(self, counter: int, target: DocumentId, action: Action, author: Author, update: bytes) -> Change:
        return Change(self.node, counter, target, KIND, action, author.actor, author.reason, self._clock.now(), update)

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
            found = self._defaults[topic] = defaults_of(head.text) if head else NO_DEFAULTS
            if len(self._defaults) > _DEFAULTS_KEPT:
                self._defaults.popitem(last=False)
        return found

    def _spread_defaults(self, tx: Transaction, topic: str) -> None:
        """A head has changed: entries whose defaults are no longer the same are projected anew."""
        old = self._defaults.pop(topic, NO_DEFAULTS)
        if self._defaults_of(tx, topic) == old:
            return
        for row in tx.entries_of(topic):
            if row.role != HEAD:
                content = document.read(self.state(tx, row.id))
                life = Life(row.created_at, row.updated_at)
                fresh = self._project(tx, DocumentId(row.id), content, life)
                fresh = replace(fresh, slot=row.slot, version=row.version)
                tx.refresh_memory(row, fresh)
                self._announce(tx, Put([fresh], [0]))


def _created(entry: NewEntry) -> bytes:
    return document.create(entry.text, entry.fields)

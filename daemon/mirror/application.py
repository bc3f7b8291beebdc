"""What a save means, carried out: its edits, deletions and new entries become changes of the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hiveminddb.daemon.births import Births
from hiveminddb.daemon.entries import BY_FILE, Author, NewEntry, copy_of
from hiveminddb.daemon.mirror.arrival import Arrival
from hiveminddb.daemon.mirror.bases import state_in
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import ENTRY, HEAD, HEAD_POSITION, invalidated
from hiveminddb.model import Action
from hiveminddb.store import changes, topic_files
from hiveminddb.store.rows import MemoryRow, text_hash, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase
from hiveminddb.sync import document, position
from hiveminddb.sync.document import Content
from hiveminddb.sync.encoding import new_client
from hiveminddb.vault import markdown
from hiveminddb.vault.choosing import BEGINNING, begins_alone
from hiveminddb.vault.markdown import Span
from hiveminddb.vault.reconcile import PRESENT, Create, Edit, Plan

# An entry that turns up again within this time, in whatever file, was cut and pasted.
_PASTE_MICROSECONDS = 15 * 60 * 1_000_000


class Application:
    """Carries out a plan: edits against the base, deletes, and everything that needs a place."""

    def __init__(
        self,
        tx: Transaction,
        pipeline: Pipeline,
        found: Arrival,
        bases: Sequence[VaultBase],
        texts: Mapping[str, str],
        shown: Set[str],
        is_new: bool,
    ) -> None:
        self._tx, self._pipeline, self._found, self._bases, self._texts = tx, pipeline, found, bases, texts
        # Documents that the file has shown.
        self._shown = shown
        # Nothing was ever known of the file here: other nodes may have it, and make the same documents of it.
        self._is_new = is_new
        self._alike = Counter[str]()
        self._now = to_microseconds(datetime.now(UTC))
        self._author = Author(BY_FILE)
        self._client = new_client()
        self._had: list[int] = []

    def apply(self, meaning: Plan, present: Sequence[MemoryRow]) -> list[int]:
        """Does it; the changes that the file's text has of documents that came back, or that others made."""
        for edit in meaning.edits:
            self._edit(edit)
        for id in meaning.deletes:
            self._delete(id)
        self._place(meaning, present)
        return self._had

    def _row(self, id: str) -> MemoryRow:
        row = self._tx.memory(id)
        assert row is not None, f"a base names an unknown document: {id}"
        return row

    def _edit(self, edit: Edit) -> None:
        row = self._row(edit.document)
        role = HEAD if edit.is_head else ENTRY
        fields = {} if role == row.role else {"role": role}
        state = state_in(self._tx, edited(self._bases, edit), row.id)
        # Not by the operation's client: another machine that is brought the same file makes the same operations.
        self._pipeline.edit(self._tx, row, "update", self._author, text=edit.new_text, fields=fields, state=state)

    def _delete(self, id: str) -> None:
        present = document.read(self._pipeline.state(self._tx, id))
        seen = Content(self._texts[id], {**present.fields, "topic": self._found.topic})
        gone = invalidated(self._now, BY_FILE, "removed from the file", seen)
        self._change(self._row(id), "invalidate", fields={"invalidated": gone})

    def _change(self, row: MemoryRow, action: Action, *, fields: Mapping[str, Any], text: str | None = None) -> None:
        self._pipeline.edit(self._tx, row, action, self._author, text=text, fields=fields, client=self._client)

    def _place(self, meaning: Plan, present: Sequence[MemoryRow]) -> None:
        new: list[NewEntry] = []
        created = {create.text for create in meaning.creates}
        standing = {row.text: row.id for row in present if row.text in created}
        for item, where in placed(meaning, {row.id: row.position for row in present}):
            if isinstance(item, str):
                self._move(self._row(item), where)
            elif not self._revived(meaning.creates[item], where):
                create = meaning.creates[item]
                entry = self._new(create, where, standing.get(create.text))
                if not self._made_elsewhere(entry):
                    new.append(entry)
        if new:
            self._pipeline.add(self._tx, new)

    def _move(self, row: MemoryRow, where: str) -> None:
        """To its place in the file; one that was edited here after its end lives, one moved away stays there."""
        if row.topic == self._found.topic:
            self._change(row, "move", fields={"position": where, "invalidated": None})

    def _new(self, create: Create, where: str, original: str | None) -> NewEntry:
        """The document to be made; `original` says the same and stands in the file already."""
        if self._is_new or (create.heading and not original and begins_alone(create.text, create.is_head)):
            return derived(self._found, create, where, self._alike)
        at = to_microseconds(create.heading) if create.heading else self._found.written_at
        fields = {**_placed_fields(self._found, create, where), "created_at": at}
        author = replace(self._author, reason=copy_of(original)) if original else self._author
        return NewEntry(create.text, fields, author)

    def _made_elsewhere(self, entry: NewEntry) -> bool:
        """Whether the document of that entry has come from another node already: it holds here too."""
        birth = Births(self._tx.connection).derived(entry)
        row = self._tx.memory(birth.id) if birth else None
        if row is None or row.topic != self._found.topic:
            return False
        if not self._is_new and (row.id in self._shown or not row.alive):
            # Who writes again what the file has shown, and shows, wants it twice.
            return False
        if not row.alive:
            self._change(row, "restore", fields={"invalidated": None})
        self._had.append(changes.places_of(self._tx.connection, row.id)[0])
        return True

    def _revived(self, create: Create, where: str) -> bool:
        """Whether the new entry is an old one that comes back: to its file, or pasted into another."""
        row = self._tx.memory(create.revives) if create.revives else pasted(self._tx, create, self._now)
        if row is None or row.alive:
            return False
        fields = {
            "invalidated": None,
            "topic": self._found.topic,
            "position": HEAD_POSITION if create.is_head else where,
            "role": HEAD if create.is_head else ENTRY,
        }
        self._change(row, "restore", text=create.text, fields=fields)
        self._had += changes.places_of(self._tx.connection, row.id)
        return True


def _placed_fields(found: Arrival, entry: Create | Span, where: str) -> dict[str, Any]:
    return {
        "topic": found.topic,
        "position": HEAD_POSITION if entry.is_head else where,
        "role": HEAD if entry.is_head else ENTRY,
    }


def derived(found: Arrival, entry: Create | Span, where: str, alike: Counter[str]) -> NewEntry:
    """An entry that holds nothing but what the file says; `alike` counts the equal ones before it."""
    fields = _placed_fields(found, entry, where)
    if entry.heading:
        fields["created_at"] = to_microseconds(entry.heading)
    alike[entry.text] += 1
    return NewEntry(entry.text, fields, Author(BY_FILE), alike[entry.text] - 1, found.written_at)


def pasted(tx: Transaction, entry: Create | Span, now: int) -> MemoryRow | None:
    """The memory that was cut from a file, this one or another, and is in this one again."""
    start, end = markdown.body(entry.text, entry.is_head)
    if not _is_telling(entry.text[start:end], entry.heading is not None):
        return None
    gone = topic_files.invalidated_with(tx.connection, text_hash(entry.text[start:end]), now - _PASTE_MICROSECONDS)
    return next((row for row in gone if row.text == entry.text and row.invalidated_by == BY_FILE), None)


def _is_telling(body: str, is_dated: bool) -> bool:
    """False for what others write as well who mean another file: blanks, a date, a title, a word or two without one."""
    words = "".join(line for line in body.splitlines() if not line.startswith("#")).strip()
    return len(words) >= (1 if is_dated else BEGINNING)


def placed(meaning: Plan, positions: Mapping[str, str]) -> Iterator[tuple[str | int, str]]:
    """A position for every create and every moved document of a plan, between its neighbours in the order."""
    floating = set(meaning.moves)
    run: list[str | int] = []
    before: str | None = None
    for item in (*meaning.order, None):
        if item is not None and (isinstance(item, int) or item in floating):
            run.append(item)
            continue
        after = positions[item] if isinstance(item, str) else None
        if after != HEAD_POSITION:
            yield from zip(run, position.sequence(before, after, len(run)), strict=True)
            run, before = [], after


def edited(known: Sequence[VaultBase], edit: Edit) -> VaultBase | None:
    """The text of which the entry was edited, None for what it says now."""
    return None if edit.base == PRESENT else known[edit.base]

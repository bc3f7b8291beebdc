"""A file's text, as a person or program left it, taken into the documents. Runs on the writer thread.

Every text that a file had is a base that an editor may still hold: what the changes up to `upto`, and those a save
itself made (`extra`), say. A save is an edit of the closest base; it is applied to the documents as they were in that
base and merged into what they are now, so that it reverts nothing its author had not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hiveminddb.daemon.births import Births
from hiveminddb.daemon.entries import BY_FILE, Author, NewEntry, copy_of
from hiveminddb.daemon.mirror.bases import NO_TEXT, base_entries, file_bases, places_in, state_in
from hiveminddb.daemon.mirror.candidates import candidates
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import ENTRY, HEAD, HEAD_POSITION, invalidated
from hiveminddb.model import Action
from hiveminddb.store import changes, topic_files, vault_state
from hiveminddb.store.rows import MemoryRow, text_hash, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import By, VaultBase
from hiveminddb.sync import document, position
from hiveminddb.sync.document import Content
from hiveminddb.sync.encoding import new_client
from hiveminddb.vault import markdown
from hiveminddb.vault.choosing import BEGINNING, Base, Entry, render
from hiveminddb.vault.markdown import Span
from hiveminddb.vault.reconcile import PRESENT, Create, Edit, Plan, plan

# Texts of a file that are remembered: a slow writer may hold one that was replaced while many adds went by.
BASES_KEPT = 64

# An entry that turns up again within this time, in whatever file, was cut and pasted.
_PASTE_MICROSECONDS = 15 * 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file's text as found; `written_at` in microseconds.

    `unread` where nobody can have read our last write, `hasty` where it came too soon after that to be an answer to it.
    """

    topic: str
    text: str
    digest: str
    written_at: int
    unread: bool = False
    hasty: bool = False


def merge_in(tx: Transaction, pipeline: Pipeline, found: Arrival) -> list[MemoryRow]:
    """Add to a topic whatever of a text is not in it yet; what was added. For imports: the topic's file is another."""
    first = tx.counters.n
    present = tx.entries_of(found.topic)
    is_new = not file_bases(tx, found.topic)
    _Application(tx, pipeline, found, [], {}, is_new).apply(plan(_entries(present), [], found.text), present)
    had = {row.id for row in present}
    return [row for row in tx.entries_of(found.topic) if row.id not in had] if tx.counters.n > first else []


def take_in(tx: Transaction, pipeline: Pipeline, found: Arrival, *, gone: bool = False) -> None:
    """Make the documents of a topic say what its file says, keeping what others wrote; remember the text as a base.

    `gone`: the file was removed, and with it what it held last, whatever older texts an editor may hold.
    """
    known = file_bases(tx, found.topic)[:1] if gone else candidates(tx, found.topic, found.text)
    before = tx.counters.n
    base, whole = _merge(tx, pipeline, found, known)
    if file_text(tx.entries_of(found.topic)) == found.text:
        last = tx.counters.n
        tx.put_vault_base(VaultBase(found.topic, last, last, "disk", found.digest), BASES_KEPT)
    elif whole or tx.counters.n > before:
        _remember(tx, found, "disk", base, (*range(before + 1, tx.counters.n + 1), *whole))


def new_entries(tx: Transaction, found: Arrival) -> list[NewEntry] | None:
    """The documents of a file that nothing is known of; None where one of its entries may have come from elsewhere."""
    spans, now = markdown.split(found.text), to_microseconds(datetime.now(UTC))
    if any(_pasted(tx, span, now) for span in spans):
        return None
    places, alike = position.sequence(None, None, len(spans)), Counter[str]()
    return [_derived(found, span, next(places), alike) for span in spans]


def take_late(tx: Transaction, pipeline: Pipeline, found: Arrival, was: str) -> None:
    """The same for a text written into a file that had been replaced, whose digest was `was`.

    Whatever the file's texts were since, its writer knows nothing of them. What a crash brings back is taken in once.
    """
    known = vault_state.vault_bases(tx.connection, found.topic)
    since = next((i for i, base in enumerate(known) if base.digest == was), len(known))
    if any(base.digest == found.digest for base in known[:since]):
        return
    before = tx.counters.n
    # Who wrote into a file that never said anything can have read nothing.
    is_first = was == NO_TEXT and since == len(known)
    base, whole = _merge(tx, pipeline, found, [] if is_first else candidates(tx, found.topic, found.text, was))
    _remember(tx, found, "late", base, (*range(before + 1, tx.counters.n + 1), *whole))


def _merge(
    tx: Transaction, pipeline: Pipeline, found: Arrival, known: Sequence[VaultBase]
) -> tuple[VaultBase | None, list[int]]:
    """Merge a text made from one of the known ones: which, and the changes of what else it has of the documents."""
    bases = [Base(base.n, base.by, base_entries(tx, base)) for base in known]
    present = tx.entries_of(found.topic)
    meaning = plan(_entries(present), bases, found.text, unread=found.unread, hasty=found.hasty)
    base = known[meaning.base] if meaning.base >= 0 else None
    texts = {entry.document: entry.text for entry in bases[meaning.base].entries} if base else {}
    is_new = not vault_state.vault_bases(tx.connection, found.topic)
    newer = [edit for edit in meaning.edits if edit.base != meaning.base]
    seen = [n for edit in newer for n in places_in(tx, _edited(known, edit), edit.document)]
    revived = _Application(tx, pipeline, found, known, texts, is_new).apply(meaning, present)
    known_of = (*meaning.adopted, *meaning.gone, *revived)
    return base, seen + [n for id in known_of for n in changes.places_of(tx.connection, id)]


def _edited(known: Sequence[VaultBase], edit: Edit) -> VaultBase | None:
    """The text of which the entry was edited, None for what it says now."""
    return None if edit.base == PRESENT else known[edit.base]


def file_text(rows: Sequence[MemoryRow]) -> str:
    """The text of a file from its living entries in order."""
    return render(_entries(rows))


def _entries(rows: Sequence[MemoryRow]) -> list[Entry]:
    return [Entry(row.id, row.text, row.role == HEAD) for row in rows]


def _remember(tx: Transaction, found: Arrival, by: By, base: VaultBase | None, made: Iterable[int]) -> None:
    """The text is what its base says, and what these changes made of it."""
    upto, extra, names = (base.upto, base.extra, base.names) if base else (0, (), ())
    extra = tuple(sorted(n for n in {*extra, *made} if n > upto))
    tx.put_vault_base(VaultBase(found.topic, tx.counters.n, upto, by, found.digest, extra, names), BASES_KEPT)


class _Application:
    """Carries out a plan: edits against the base, deletes, and everything that needs a place."""

    def __init__(
        self,
        tx: Transaction,
        pipeline: Pipeline,
        found: Arrival,
        bases: Sequence[VaultBase],
        texts: Mapping[str, str],
        is_new: bool,
    ) -> None:
        self._tx, self._pipeline, self._found, self._bases, self._texts = tx, pipeline, found, bases, texts
        # Nothing was ever known of the file here: other nodes may have it, and make the same documents of it.
        self._is_new = is_new
        self._alike = Counter[str]()
        self._now = to_microseconds(datetime.now(UTC))
        self._author = Author(BY_FILE)
        self._client = new_client()
        self._came_back: list[str] = []

    def apply(self, meaning: Plan, present: Sequence[MemoryRow]) -> list[str]:
        """Does it; the documents that came back."""
        for edit in meaning.edits:
            self._edit(edit)
        for id in meaning.deletes:
            self._delete(id)
        self._place(meaning, present)
        return self._came_back

    def _row(self, id: str) -> MemoryRow:
        row = self._tx.memory(id)
        assert row is not None, f"a base names an unknown document: {id}"
        return row

    def _edit(self, edit: Edit) -> None:
        row = self._row(edit.document)
        role = HEAD if edit.is_head else ENTRY
        fields = {} if role == row.role else {"role": role}
        state = state_in(self._tx, _edited(self._bases, edit), row.id)
        # Not by the operation's client: another machine that is brought the same file makes the same operations.
        self._pipeline.edit(self._tx, row, "update", self._author, text=edit.new_text, fields=fields, state=state)

    def _delete(self, id: str) -> None:
        present = document.read(self._pipeline.state(self._tx, id))
        seen = Content(self._texts[id], {**present.fields, "topic": self._found.topic})
        gone = invalidated(self._now, BY_FILE, "removed from the file", seen)
        self._change(self._row(id), "invalidate", fields={"invalidated": gone})

    def _change(
        self,
        row: MemoryRow,
        action: Action,
        *,
        fields: Mapping[str, Any],
        text: str | None = None,
    ) -> None:
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
        if self._is_new:
            return _derived(self._found, create, where, self._alike)
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
        if not row.alive:
            self._change(row, "restore", fields={"invalidated": None})
            self._came_back.append(row.id)
        return True

    def _revived(self, create: Create, where: str) -> bool:
        """Whether the new entry is an old one that comes back: to its file, or pasted into another."""
        row = self._tx.memory(create.revives) if create.revives else _pasted(self._tx, create, self._now)
        if row is None or row.alive:
            return False
        fields = {
            "invalidated": None,
            "topic": self._found.topic,
            "position": HEAD_POSITION if create.is_head else where,
            "role": HEAD if create.is_head else ENTRY,
        }
        self._change(row, "restore", text=create.text, fields=fields)
        self._came_back.append(row.id)
        return True


def _placed_fields(found: Arrival, entry: Create | Span, where: str) -> dict[str, Any]:
    return {
        "topic": found.topic,
        "position": HEAD_POSITION if entry.is_head else where,
        "role": HEAD if entry.is_head else ENTRY,
    }


def _derived(found: Arrival, entry: Create | Span, where: str, alike: Counter[str]) -> NewEntry:
    """An entry that holds nothing but what the file says; `alike` counts the equal ones before it."""
    fields = _placed_fields(found, entry, where)
    if entry.heading:
        fields["created_at"] = to_microseconds(entry.heading)
    alike[entry.text] += 1
    return NewEntry(entry.text, fields, Author(BY_FILE), alike[entry.text] - 1, found.written_at)


def _pasted(tx: Transaction, entry: Create | Span, now: int) -> MemoryRow | None:
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

"""A file's text, as a person or program left it, taken into the documents. Runs on the writer thread.

Every text that a file had is a base that an editor may still hold: what the changes up to `upto`, and those a save
itself made (`extra`), say. A save is an edit of the closest base; it is applied to the documents as they were in that
base and merged into what they are now, so that it reverts nothing its author had not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from hiveminddb.daemon.entries import NewEntry
from hiveminddb.daemon.mirror.application import Application, derived, edited, pasted
from hiveminddb.daemon.mirror.arrival import Arrival
from hiveminddb.daemon.mirror.bases import BASES_KEPT, NO_TEXT, base_entries, file_bases, places_in
from hiveminddb.daemon.mirror.candidates import candidates
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.store import changes, vault_state
from hiveminddb.store.rows import MemoryRow, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import By, VaultBase
from hiveminddb.sync import position
from hiveminddb.vault import markdown
from hiveminddb.vault.choosing import Base, Entry, render
from hiveminddb.vault.reconcile import plan


def merge_in(tx: Transaction, pipeline: Pipeline, found: Arrival) -> list[MemoryRow]:
    """Add to a topic whatever of a text is not in it yet; what was added. For imports: the topic's file is another."""
    first = tx.counters.n
    present = tx.entries_of(found.topic)
    is_new = not file_bases(tx, found.topic)
    Application(tx, pipeline, found, [], {}, set(), is_new).apply(plan(_entries(present), [], found.text), present)
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
    if any(pasted(tx, span, now) for span in spans):
        return None
    places, alike = position.sequence(None, None, len(spans)), Counter[str]()
    return [derived(found, span, next(places), alike) for span in spans]


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
    seen = [n for edit in newer for n in places_in(tx, edited(known, edit), edit.document)]
    shown = {entry.document for known_base in bases for entry in known_base.entries}
    seen += Application(tx, pipeline, found, known, texts, shown, is_new).apply(meaning, present)
    return base, seen + [n for id in (*meaning.adopted, *meaning.gone) for n in changes.places_of(tx.connection, id)]


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

"""The texts that a file had, made again from the log: what each said, and the state its documents had in it."""

from __future__ import annotations

from hiveminddb.daemon.admission import admitted
from hiveminddb.daemon.projection import HEAD, HEAD_POSITION, invalidation
from hiveminddb.model import Change
from hiveminddb.store import changes, history, vault_state
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile
from hiveminddb.sync import document
from hiveminddb.vault.choosing import Entry, render
from hiveminddb.vault.files import digest_of

# What a topic without a file says, and a file that is about to be removed is remembered to say.
NO_TEXT = digest_of("")

# Texts of a file that are remembered: a slow writer may hold one that was replaced while many adds went by.
BASES_KEPT = 64

# How many of a file's texts somebody is expected to go on from who gives it another name.
FORMER = 6


def file_bases(tx: Transaction, topic: str) -> list[VaultBase]:
    """The recent texts that were in a topic's file, newest first."""
    return [base for base in vault_state.vault_bases(tx.connection, topic) if base.by != "late"]


def now_named(tx: Transaction, topic: str, digest: str) -> str:
    """The topic of a file that had this name when it had a text with this digest: it may have another now."""
    said = vault_state.topics_that_said(tx.connection, digest) if digest != NO_TEXT else []
    return topic if topic in said or not said else said[0]


def seen_base(tx: Transaction, known: VaultFile) -> VaultBase:
    """The text that a file had when it was last seen: taken in since it was last known to agree, or as it was then."""
    bases = file_bases(tx, known.topic)
    taken_in = (it for it in bases if it.by == "disk" and it.n > known.n)
    agreed = (it for it in bases if it.digest == known.digest and it.n <= known.n)
    return next(taken_in, next(agreed, VaultBase(known.topic, known.n, known.n, "disk", known.digest)))


def seen_text(tx: Transaction, known: VaultFile) -> str:
    """What a file said when it was last seen."""
    return base_text(tx, seen_base(tx, known))


def former_texts(tx: Transaction, topic: str) -> list[str]:
    """What a topic's file said lately, newest first."""
    return [base_text(tx, base) for base in file_bases(tx, topic)[:FORMER]]


def base_text(tx: Transaction, base: VaultBase) -> str:
    """What the file said."""
    return render(base_entries(tx, base))


def base_entries(tx: Transaction, base: VaultBase) -> list[Entry]:
    """The entries of a text that the file had."""
    past = history.entries_as_of(tx.connection, base.names[0], base.upto)
    placed = {e.document: (e.position, e.document, _past_entry(e)) for e in past}
    for id, made in _extra(tx, base).items():
        placed.pop(id, None)
        if made[-1].action == "invalidate":
            # Against a text of which the base may know nothing: to the base it is gone all the same.
            continue
        content = admitted(document.read(document.merge(*_updates(tx, id, base.upto), *(it.update for it in made))))
        if content.fields["topic"] in base.names and not invalidation(content):
            where, is_head = content.fields["position"], content.fields.get("role") == HEAD
            placed[id] = (where, id, Entry(id, content.text, is_head))
    return [entry for _, _, entry in sorted(placed.values(), key=lambda item: item[:2])]


def _past_entry(past: history.PastEntry) -> Entry:
    return Entry(past.document, past.text, past.position == HEAD_POSITION)


def state_in(tx: Transaction, base: VaultBase | None, id: str) -> bytes | None:
    """The state a document had in a base; None where that is its present one, as without a base."""
    if base is None:
        return None
    extra = _extra(tx, base).get(id, [])
    seen = [*_updates(tx, id, base.upto), *(made.update for made in extra)]
    return document.merge(*seen) if seen and len(seen) < len(changes.changes_of(tx.connection, id)) else None


def places_in(tx: Transaction, base: VaultBase | None, id: str) -> list[int]:
    """The changes of a document that are in a base; without one, all."""
    places = changes.places_of(tx.connection, id)
    return [n for n in places if base is None or n <= base.upto or n in base.extra]


def _updates(tx: Transaction, id: str, upto: int) -> list[bytes]:
    return [change.update for change in changes.changes_of(tx.connection, id, upto)]


def _extra(tx: Transaction, base: VaultBase) -> dict[str, list[Change]]:
    """The changes that the save itself made, of each document in the order of the log."""
    found: dict[str, list[Change]] = {}
    for n in base.extra:
        change = changes.change(tx.connection, n)
        assert change is not None, f"the log has lost change {n}"
        found.setdefault(change.document, []).append(change)
    return found

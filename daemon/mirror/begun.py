"""Writes of the mirror that were begun and never recorded: whether they have come to be shows in the file alone."""

from __future__ import annotations

from hiveminddb.daemon.mirror.bases import NO_TEXT, base_text, file_bases, seen_base, seen_text
from hiveminddb.store import vault_state
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile
from hiveminddb.vault.choosing import has_of
from hiveminddb.vault.difference import distance
from hiveminddb.vault.files import FileText, digest_of


def unrecorded(tx: Transaction, topic: str, known: VaultFile | None) -> VaultBase | None:
    """The text of a write that was begun and never recorded."""
    newest = next(iter(file_bases(tx, topic)), None)
    if newest is None or newest.by != "mirror":
        return None
    if known and (newest.n < known.n or (newest.n, newest.digest) == (known.n, known.digest)):
        return None
    if known is None and newest.digest == NO_TEXT:
        # A removal that was recorded.
        return None
    return newest


def begun(tx: Transaction, topic: str) -> VaultBase | None:
    """What the mirror began to make of a file that nothing is known of; None where that is nothing."""
    return None if vault_state.vault_file(tx.connection, topic) else unrecorded(tx, topic, None)


def may_be_removed(tx: Transaction, known: VaultFile) -> bool:
    """Whether the mirror began to remove a file, and it is not known whether it has."""
    doubtful = unrecorded(tx, known.topic, known)
    return doubtful is not None and doubtful.digest == NO_TEXT


def last_base(tx: Transaction, known: VaultFile, file: FileText) -> VaultBase:
    """What a file said before it became what it is: as seen, or as a write that was never recorded has left it."""
    doubtful = unrecorded(tx, known.topic, known)
    if doubtful and (doubtful.digest == file.digest or not never_was(tx, known, doubtful, file)):
        return doubtful
    return seen_base(tx, known)


def is_torn(tx: Transaction, known: VaultFile, doubtful: VaultBase | None, text: str) -> bool:
    """Whether the file is an append of ours that a crash cut short."""
    if doubtful is None or digest_of(text.encode()[: known.size]) != known.digest:
        return False
    return base_text(tx, doubtful).startswith(text)


def never_was(tx: Transaction, known: VaultFile | None, doubtful: VaultBase, file: FileText) -> bool:
    """Whether somebody went on from the last text that was certainly there: they went back, or it is the nearer one.

    Who has nothing of what was begun need not have seen it.
    """
    if any(base.digest == file.digest for base in file_bases(tx, doubtful.topic)):
        return True
    before, after = seen_text(tx, known) if known else "", base_text(tx, doubtful)
    return not has_of(after, file.text) or distance(before, file.text) <= distance(after, file.text)

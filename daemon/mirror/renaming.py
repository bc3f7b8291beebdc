"""Telling a file that was renamed from one that was removed: the vanished wait a moment for a new name to show up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial

from hiveminddb.daemon.mirror.bases import base_text, former_texts, seen_base, seen_text
from hiveminddb.daemon.mirror.settling import Look, Settler, begun
from hiveminddb.daemon.mirror.takein import file_text
from hiveminddb.store import vault_state
from hiveminddb.store.transaction import Transaction
from hiveminddb.vault.difference import distance
from hiveminddb.vault.files import FileText
from hiveminddb.vault.renames import Seen, in_order, moved_on, pair

# Long enough for the two halves of a rename and for an editor that saves by rename on a busy machine: a file that is
# back after that lacks whatever its author had not seen, as if it had been removed on purpose.
PATIENCE = 1.0


class Renaming:
    """Sorts looks into those to settle now and those to look at again; carries out the renames it finds."""

    patience = PATIENCE

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self._since: dict[str, float] = {}
        self._seen: dict[str, Seen] = {}

    @property
    def waiting(self) -> set[str]:
        """Topics whose file has vanished a moment ago."""
        return set(self._since)

    def there(self, topics: Iterable[str]) -> None:
        """These have a file, though nobody knows yet what it says: if it vanishes, it does so anew."""
        for topic in topics:
            self._drop(topic)

    def sort_out(self, looks: Sequence[Look], tx: Transaction, more: bool = False) -> tuple[list[Look], list[str]]:
        """What to settle now, and what to look at again after `patience`.

        While there are `more` files that nobody could look at yet, a new name may be among them: none is gone.
        """
        now = time.monotonic()
        vanished = {look.topic for look in looks if _has_vanished(tx, look)}
        gone = set(vanished)
        for look in looks:
            if look.topic in gone:
                self._since.setdefault(look.topic, now)
            else:
                self._drop(look.topic)
        files = {look.topic: look.file for look in looks if look.file}
        for old, new in self._pairs(tx, looks):
            self._settler.renamed(tx, old, new, files[new])
            self._drop(old)
            gone.discard(old)
        later = [topic for topic in gone if more or now - self._since[topic] < PATIENCE * 0.9]
        for topic in gone.difference(later):
            self._drop(topic)
        renamed_away = vanished - gone
        ready = [look for look in looks if look.topic not in later and look.topic not in renamed_away]
        return ready, later

    def _pairs(self, tx: Transaction, looks: Sequence[Look]) -> list[tuple[str, str]]:
        arrived = {look.topic: _seen(look.topic, look.file) for look in looks if look.file is not None}
        known = {topic: vault_state.vault_file(tx.connection, topic) for topic in arrived}
        new = [it for it in arrived.values() if known[it.topic] is None and not _is_ours(tx, it, self._since)]
        if not new:
            return []
        replaced = [
            (self._last_seen(tx, topic), arrived[topic])
            for topic, file in known.items()
            if file and file.inode != arrived[topic].inode
        ]
        gone = [self._gone(tx, topic) for topic in self._since]
        moved = moved_on(replaced, gone, new)
        return in_order(
            pair([*gone, *moved], [*new, *(arrived[old.topic] for old in moved)], partial(former_texts, tx))
        )

    def _drop(self, topic: str) -> None:
        self._since.pop(topic, None)
        self._seen.pop(topic, None)

    def _gone(self, tx: Transaction, topic: str) -> Seen:
        if topic not in self._seen:
            self._seen[topic] = self._last_seen(tx, topic)
        return self._seen[topic]

    def _last_seen(self, tx: Transaction, topic: str) -> Seen:
        known = vault_state.vault_file(tx.connection, topic)
        text = file_text(tx.entries_of(topic))
        if known is None:
            made = begun(tx, topic)
            return Seen(topic, 0, made.digest if made else "", text)
        # Others may have moved its memories away, and its text with them.
        seen = seen_base(tx, known)
        return Seen(topic, known.inode, seen.digest, text or base_text(tx, seen))


def _has_vanished(tx: Transaction, look: Look) -> bool:
    """Whether a file was there and is not any more; so may one be that was made and, before a kill, not recorded."""
    return look.file is None and (not look.unchanged or begun(tx, look.topic) is not None)


def _is_ours(tx: Transaction, new: Seen, gone: Iterable[str]) -> bool:
    """Whether the mirror has made a file that nothing is known of, and somebody has gone on with it since, or not.

    Inodes are used again, by the mirror too: what it has made is no file that somebody has renamed.
    """
    made = begun(tx, new.topic)
    if made is None or made.digest == new.digest:
        return made is not None
    apart = distance(base_text(tx, made), new.text)
    known = filter(None, (vault_state.vault_file(tx.connection, topic) for topic in gone))
    return apart < len(new.text) and all(apart <= distance(seen_text(tx, it), new.text) for it in known)


def _seen(topic: str, file: FileText) -> Seen:
    return Seen(topic, file.stat.inode, file.digest, file.text)

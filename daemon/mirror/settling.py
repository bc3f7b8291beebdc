"""What one look at a file means: taken in, written, or left. Decisions on the writer thread; the mirror does the I/O.

The order that makes a kill at any point harmless: the text to be written is remembered as a base first, then the file
is written, then it is recorded as known. A base newer than the known file is therefore a write that may or may not
have happened; which one shows in the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hiveminddb.daemon.entries import BY_FILE, Author, NewEntry
from hiveminddb.daemon.mirror.arrival import Arrival
from hiveminddb.daemon.mirror.bases import BASES_KEPT, NO_TEXT, file_bases, now_named, seen_text
from hiveminddb.daemon.mirror.begun import is_torn, last_base, never_was, unrecorded
from hiveminddb.daemon.mirror.takein import (
    file_text,
    new_entries,
    take_in,
    take_late,
)
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.tails import Addition, Tails
from hiveminddb.store import outbox, topic_files, vault_state
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile
from hiveminddb.sync.encoding import new_client
from hiveminddb.vault.files import FileText, Stat, digest_of
from hiveminddb.vault.held import Late
from hiveminddb.vault.topics import Topics, topic_of

# Nobody reads what came into a file, and takes most of it out again, in so short a time; programs may.
HASTE_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """A topic and its file as found: its text, None where there is no file; `unchanged` where it is as last known."""

    topic: str
    file: FileText | None = None
    unchanged: bool = False
    unread: bool = False

    def inode(self, known: VaultFile | None) -> int:
        """Which file it is on the disk, 0 for none."""
        if self.file:
            return self.file.stat.inode
        return known.inode if known and self.unchanged else 0


@dataclass(frozen=True, slots=True)
class Todo:
    """A file to be written: its text as of change `n`, and digest and inode of what should be there (None: no file)."""

    topic: str
    n: int
    text: str
    expected: str | None
    inode: int


@dataclass(frozen=True, slots=True)
class _Left:
    """What was known under a name that is given up: memories, texts of the file, what it is, what it said last."""

    ids: Sequence[str]
    bases: Sequence[VaultBase]
    known: VaultFile | None
    last: VaultBase | None


class Settler:
    """Brings documents and files to agree; every method needs the open transaction."""

    def __init__(self, pipeline: Pipeline, topics: Topics, tails: Tails) -> None:
        self._pipeline = pipeline
        self._topics = topics
        self._tails = tails

    def settle_new(self, tx: Transaction, looks: Iterable[Look]) -> set[str]:
        """Files that nothing is known of, all in one go: a folder's first scan is thousands. The topics it settled."""
        new: list[NewEntry] = []
        files: list[tuple[str, FileText]] = []
        for look in looks:
            file = look.file
            if file and file.text.strip() and topic_files.is_unknown(tx.connection, look.topic):
                entries = new_entries(tx, _arrival(look.topic, file))
                if entries is not None:
                    new += entries
                    files.append((look.topic, file))
        self._pipeline.add(tx, new)
        n = tx.counters.n
        for topic, file in files:
            self._topics.add(topic)
            tx.put_vault_base(VaultBase(topic, n, n, "disk", file.digest), BASES_KEPT)
            _known(tx, topic, n, file)
            _done(tx, topic, n)
        return {topic for topic, _ in files}

    def settle(self, tx: Transaction, look: Look) -> Todo | None:
        """Take in what the file says; what must be written so that it says what the documents do."""
        known = self._taken(tx, look)
        entries = tx.entries_of(look.topic)
        if not entries:
            return self._emptied(tx, look, known)
        self._topics.add(look.topic)
        text, n = file_text(entries), tx.counters.n
        digest = self._tails.begin(look.topic, n, text, entries[-1].position)
        present = known.digest if look.unchanged and known else look.file.digest if look.file else None
        if present == digest:
            self._agreed(tx, look, known, present)
            return None
        tx.put_vault_base(VaultBase(look.topic, n, n, "mirror", digest), BASES_KEPT)
        return Todo(look.topic, n, text, present, look.inode(known))

    def appending(self, tx: Transaction, additions: Iterable[Addition]) -> None:
        """Files are about to get what they lack at their end."""
        for it in additions:
            tx.put_vault_base(VaultBase(it.topic, it.n, it.n, "mirror", it.digest), BASES_KEPT)

    def appended(self, tx: Transaction, done: Iterable[tuple[Addition, Stat]]) -> None:
        """Files have got what they lacked."""
        for it, stat in done:
            tx.put_vault_file(_file(it.topic, it.n, stat, it.digest))
            _done(tx, it.topic, it.n)

    def written(self, tx: Transaction, todo: Todo, stat: Stat) -> None:
        """The file now says what was to be written."""
        tx.put_vault_file(_file(todo.topic, todo.n, stat, digest_of(todo.text)))
        _done(tx, todo.topic, todo.n)

    def removed(self, tx: Transaction, todo: Todo) -> None:
        """The file of a topic without entries is gone; that there was none is its newest text."""
        tx.drop_vault_file(todo.topic)
        self._topics.discard(todo.topic)
        _done(tx, todo.topic, todo.n)

    def late(self, tx: Transaction, late: Late) -> None:
        """A text that somebody wrote while the file was being replaced."""
        topic = now_named(tx, topic_of(late.path), late.was)
        found = Arrival(topic, late.text, digest_of(late.text), time.time_ns() // 1000)
        take_late(tx, self._pipeline, found, late.was)
        tx.mark("mirror", found.topic, tx.counters.n)

    def unwritten(self, tx: Transaction, todos: Iterable[Todo | Addition]) -> None:
        """Texts that never came to be in their files: nobody can have made an edit of them."""
        for todo in todos:
            tx.drop_vault_base(VaultBase(todo.topic, todo.n, todo.n, "mirror", ""))

    def forget_files(self, tx: Transaction, topics: Iterable[str]) -> None:
        """The files are gone against everybody's will: write them again."""
        for topic in topics:
            tx.drop_vault_file(topic)
            tx.mark("mirror", topic, tx.counters.n)

    def renamed(self, tx: Transaction, *renames: tuple[str, str, FileText]) -> None:
        """Files, each as now found, got other names, be it each other's: their memories keep their identity.

        What others wrote and a file had not got under its old name it has not got under the new one.
        """
        left = [self._left(tx, old, file) for old, _, file in renames]
        with self._pipeline.many(tx):
            for (old, new, _), it in zip(renames, left, strict=True):
                self._move(tx, it.ids, old, new)
        for (_, new, _), it in zip(renames, left, strict=True):
            for base in it.bases:
                tx.put_vault_base(replace(base, topic=new), BASES_KEPT)
            if it.known and it.last:
                tx.put_vault_base(replace(it.last, topic=new, n=tx.counters.n, by="disk"), BASES_KEPT)
                # It was known to agree no later than before: what it was seen to say since counts.
                tx.put_vault_file(replace(it.known, topic=new))
                # Nothing else asks for a file that has no memories any more.
                tx.mark("mirror", new, tx.counters.n)
            self._topics.add(new)

    def _move(self, tx: Transaction, ids: Iterable[str], old: str, new: str) -> None:
        author, client = Author(BY_FILE, f"renamed from {old}"), new_client()
        for row in filter(None, map(tx.memory, ids)):
            self._pipeline.edit(tx, row, "move", author, fields={"topic": new}, client=client)

    def _left(self, tx: Transaction, old: str, file: FileText) -> _Left:
        known = vault_state.vault_file(tx.connection, old)
        last = last_base(tx, known, file) if known else None
        # An editor may still hold an older text. A file that gets the old name is another one, whatever it says.
        bases = vault_state.vault_bases(tx.connection, old)
        for base in bases:
            tx.drop_vault_base(base)
        tx.drop_vault_file(old)
        self._topics.discard(old)
        return _Left([row.id for row in tx.entries_of(old)], bases, known, last)

    def replaced(self, tx: Transaction, old: str, new: str, file: FileText) -> None:
        """A file, as now found, was put in the place of another, which is gone with what it held."""
        known = vault_state.vault_file(tx.connection, new)
        self._gone(tx, new, known, unrecorded(tx, new, known))
        for base in vault_state.vault_bases(tx.connection, new):
            tx.drop_vault_base(base)
        self.renamed(tx, (old, new, file))

    def _taken(self, tx: Transaction, look: Look) -> VaultFile | None:
        """What is known of the file after its text was taken in."""
        known = vault_state.vault_file(tx.connection, look.topic)
        doubtful = unrecorded(tx, look.topic, known)
        if look.file is None and look.unchanged:
            # What was begun has not come to be: the file is as it was.
            _forget(tx, doubtful)
            return known
        if look.file is None:
            self._gone(tx, look.topic, known, doubtful)
            return None
        file = look.file
        if doubtful and file.digest == doubtful.digest:
            return _known(tx, look.topic, doubtful.n, file)
        if known and (file.digest == known.digest or is_torn(tx, known, doubtful, file.text)):
            _forget(tx, doubtful)
            return known
        if doubtful and never_was(tx, known, doubtful, file):
            _forget(tx, doubtful)
        hasty = known is not None and 0 <= file.stat.ctime_ns - known.ctime_ns < HASTE_NS
        take_in(tx, self._pipeline, replace(_arrival(look.topic, file), unread=look.unread, hasty=hasty))
        return _seen(tx, look.topic, known, file)

    def _gone(self, tx: Transaction, topic: str, known: VaultFile | None, doubtful: VaultBase | None) -> None:
        """The file is not there any more: we have removed it and were cut off before that was recorded, or others."""
        if doubtful is None or doubtful.digest != NO_TEXT:
            _forget(tx, doubtful)
            if known:
                take_in(tx, self._pipeline, Arrival(topic, "", NO_TEXT, 0), gone=True)
        tx.drop_vault_file(topic)

    def _emptied(self, tx: Transaction, look: Look, known: VaultFile | None) -> Todo | None:
        """A topic without entries has no file; one that holds nothing but blanks may stay as a person left it."""
        n = tx.counters.n
        if look.file is not None and not look.file.text.strip():
            _known(tx, look.topic, n, look.file)
        elif look.file is not None:
            return _removal(tx, look.topic, n, look.file.digest, look.file.stat.inode)
        elif known is None or not look.unchanged:
            tx.drop_vault_file(look.topic)
            self._topics.discard(look.topic)
        elif seen_text(tx, known):
            return _removal(tx, look.topic, n, known.digest, known.inode)
        _done(tx, look.topic, n)
        return None

    def _agreed(self, tx: Transaction, look: Look, known: VaultFile | None, present: str) -> None:
        n = tx.counters.n
        if look.file is not None:
            _known(tx, look.topic, n, look.file)
        elif known is not None:
            tx.put_vault_file(replace(known, n=n))
        if not any(base.digest == present for base in file_bases(tx, look.topic)[:1]):
            tx.put_vault_base(VaultBase(look.topic, n, n, "disk", present), BASES_KEPT)
        _done(tx, look.topic, n)


def _removal(tx: Transaction, topic: str, n: int, expected: str, inode: int) -> Todo:
    # Nothing else would tell, after a crash, that a file which is as it was has no entries.
    tx.mark("mirror", topic, n)
    tx.put_vault_base(VaultBase(topic, n, n, "mirror", NO_TEXT), BASES_KEPT)
    return Todo(topic, n, "", expected, inode)


def _arrival(topic: str, file: FileText) -> Arrival:
    return Arrival(topic, file.text, file.digest, file.stat.mtime_ns // 1000)


def _forget(tx: Transaction, doubtful: VaultBase | None) -> None:
    if doubtful:
        tx.drop_vault_base(doubtful)


def _known(tx: Transaction, topic: str, n: int, file: FileText) -> VaultFile:
    found = _file(topic, n, file.stat, file.digest)
    tx.put_vault_file(found)
    return found


def _seen(tx: Transaction, topic: str, known: VaultFile | None, file: FileText) -> VaultFile | None:
    """What was taken in is what is known of the file, though the documents may say more: it may be renamed before."""
    if all(base.digest != file.digest for base in file_bases(tx, topic)[:1]):
        return known
    return _known(tx, topic, known.n if known else 0, file)


def _file(topic: str, n: int, stat: Stat, digest: str) -> VaultFile:
    return VaultFile(topic, n, stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode, digest)


def _done(tx: Transaction, topic: str, n: int) -> None:
    mark = outbox.pending_mark(tx.connection, topic)
    if mark and mark.n <= n:
        tx.unmark("mirror", topic, mark.n)

"""Telling a file that was renamed from one that was removed: the vanished wait a moment for a new name to show up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial

from hiveminddb.daemon.mirror.bases import NO_TEXT, base_text, former_texts, seen_base, seen_text
from hiveminddb.daemon.mirror.begun import begun, last_base, may_be_removed, unrecorded
from hiveminddb.daemon.mirror.filework import is_numbered
from hiveminddb.daemon.mirror.settling import Look, Settler
from hiveminddb.daemon.mirror.takein import file_text
from hiveminddb.store import vault_state
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile
from hiveminddb.vault.difference import distance
from hiveminddb.vault.files import FileText
from hiveminddb.vault.renames import Seen, are_alike, pair, renamed

# Long enough for the two halves of a rename and for an editor that saves by rename on a busy machine: a file that is
# back after that lacks whatever its author had not seen, as if it had been removed on purpose.
PATIENCE = 1.0

# An old name, a new one, and the file as found there.
Rename = tuple[str, str, FileText]


class Renaming:
    """Sorts looks into those to settle now and those to look at again; carries out the renames it finds."""

    patience = PATIENCE

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self._since: dict[str, float] = {}
        # Of which of them everything was looked for in this round.
        self._sought: set[str] = set()
        # When something last happened to a file, if lately. Told on another thread: replaced, never changed.
        self._stirred: dict[str, float] = {}
        self._seen: dict[str, list[Seen]] = {}
        # Files whose names others have, and that are found where others were, since when.
        self._displaced: dict[str, float] = {}
        # Where these and vanished ones are; and where those are that were there, and may still show up.
        self._onto: dict[str, str] = {}
        # Made again from the log, once a round.
        self._texts: dict[VaultBase, str] = {}

    @property
    def waiting(self) -> set[str]:
        """Topics whose file has vanished a moment ago."""
        return set(self._since)

    @property
    def displaced(self) -> set[str]:
        """Names under which others are than were known: where theirs are is not settled yet."""
        return {*self._displaced, *self._onto.values()}

    def overdue(self, topics: Iterable[str]) -> list[str]:
        """Those of them whose file has vanished, and has had its time to show up: it is to be looked for now.

        So is a file in whose place another was put, before it counts as gone.
        """
        since = self._displaced | self._since
        self._sought = {topic for topic in topics if topic in since and _is_due(since[topic])}
        return sorted(self._sought | {new for old in self._sought for _, new in self._chain(old)})

    def there(self, topics: Iterable[str]) -> None:
        """These have a file, though nobody knows yet what it says: if it vanishes, it does so anew."""
        for topic in topics:
            self._drop(topic)

    def stirred(self, topics: Iterable[str]) -> None:
        """Something happens to these files: who finds one absent twice may have come into two saves of it."""
        now = time.monotonic()
        lately = {topic: at for topic, at in self._stirred.items() if now - at < PATIENCE}
        self._stirred = lately | dict.fromkeys(topics, now)

    def renames(self, looks: Sequence[Look], tx: Transaction) -> list[list[Rename]]:
        """What these looks show to have got other names; what leads to one another, or goes round, is one group.

        Each group is to be carried out as a whole, and they may be one by one: after a kill in between, the next
        looks show the others. Moving the memories of many files takes seconds in which nobody else could write.
        """
        self._noticed(tx, looks)
        files = {look.topic: look.file for look in looks if look.file}
        return [[(old, new, files[new]) for old, new in group] for group in _groups(self._pairs(tx, looks))]

    def carry_out(self, renames: Sequence[Rename], tx: Transaction) -> set[str]:
        """The memories of these files go to their new names; the old ones."""
        self._settler.renamed(tx, *renames)
        olds = {old for old, _, _ in renames}
        self.there(olds)
        return olds

    def sort_out(
        self, looks: Sequence[Look], tx: Transaction, moved: Set[str] = frozenset(), more: bool = False
    ) -> tuple[list[Look], list[str]]:
        """What to settle now, and what to look at again after `patience`, once the renames are carried out.

        While there are `more` files that nobody could look at yet, a new name may be among them: none is gone.
        """
        gone = {look.topic for look in looks if look.file is None} & moved
        vanished = self._noticed(tx, [look for look in looks if look.topic not in gone])
        files = {look.topic: look.file for look in looks if look.file}
        looked_at = {look.topic for look in looks}
        self._look_onto(tx, files, looked_at)
        lost = vanished | self._displaced.keys() & files.keys()
        waiting = {old for old in lost if more or self._must_wait(old, looked_at)}
        gone |= self._replace(tx, files, lost - waiting) & vanished
        for topic in lost - waiting:
            self._drop(topic)
            self._displaced.pop(topic, None)
        self._texts.clear()
        # A file that another has taken the place of may still show up.
        later = waiting | {new for old, new in self._onto.items() if new in files or old in waiting}
        return [look for look in looks if look.topic not in later | gone], sorted(later)

    def _noticed(self, tx: Transaction, looks: Sequence[Look]) -> set[str]:
        vanished = {look.topic for look in looks if _has_vanished(tx, look)}
        stirred = self._stirred
        self._since |= {topic: max(at, stirred.get(topic, at)) for topic, at in self._since.items()}
        for look in looks:
            if look.topic in vanished:
                self._since.setdefault(look.topic, time.monotonic())
            else:
                self._drop(look.topic)
        return vanished

    def _replace(self, tx: Transaction, files: Mapping[str, FileText], due: set[str]) -> set[str]:
        put = {old for old in due if self._onto.get(old) in files}
        for link, new in [step for old in put for step in reversed(self._chain(old))]:
            if new in files:
                self._settler.replaced(tx, link, new, files[new])
            self._drop(link)
        return put

    def _must_wait(self, old: str, looked_at: Set[str]) -> bool:
        if old not in self._sought:
            return True
        is_apart = any(new not in looked_at for _, new in self._chain(old))
        # What it was put onto may have become a file that nobody can read.
        return not _is_due(self._since.get(old) or self._displaced[old], 10 if is_apart else 1)

    def _chain(self, old: str) -> list[tuple[str, str]]:
        """Where a file is that lost its name, and where the file is that was there, and so on."""
        return [*_steps(self._onto, old).items()]

    def _look_onto(self, tx: Transaction, files: Mapping[str, FileText], looked_at: Set[str]) -> None:
        """Note which files are where a file was that is unlike them, and where those are that were there."""
        pairs = self._others(tx, files) if self._since or _has_moved(tx, files) else {}
        self._onto = {old: new for old, new in self._onto.items() if new not in looked_at}
        # Names exchanged have no first.
        for first in pairs.keys() - {*pairs.values()}:
            if first not in self._since:
                self._displaced.setdefault(first, time.monotonic())
            self._onto |= _steps(pairs, first)
        self._displaced = {old: at for old, at in self._displaced.items() if old in self._onto}

    def _others(self, tx: Transaction, files: Mapping[str, FileText]) -> dict[str, str]:
        """The known names under which files are that had others, by their names."""
        others = [_seen(topic, file) for topic, file in files.items() if self._is_another(tx, topic, file)]
        if not others:
            return {}
        olds = [*self._gone(tx), *(self._last_seen(tx, it.topic) for it in others)]
        pairs = pair(olds, others, partial(former_texts, tx))
        # What goes on from an older text of the same file has the name that it had.
        return {old: new for old, new in pairs.items() if old != new}

    def _pairs(self, tx: Transaction, looks: Sequence[Look]) -> dict[str, str]:
        arrived = {look.topic: _seen(look.topic, look.file) for look in looks if look.file is not None}
        known = {topic: vault_state.vault_file(tx.connection, topic) for topic in arrived}
        others = {topic: file for topic, file in known.items() if file and _is_not(file, arrived[topic])}
        lost = {*self._since, *others}
        new = [it for it in arrived.values() if known[it.topic] is None and not _is_ours(tx, it, lost)]
        if not new and {file.inode for file in others.values()}.isdisjoint(arrived[topic].inode for topic in others):
            return {}
        # A name that the mirror had begun to use may have been another's as well.
        taken = {*others, *(it.topic for it in new if begun(tx, it.topic) is not None)}
        replaced = [(self._last_seen(tx, topic), it) for topic, it in arrived.items() if topic in taken]
        return renamed(replaced, self._gone(tx), new, partial(former_texts, tx))

    def _drop(self, topic: str) -> None:
        self._since.pop(topic, None)
        self._seen.pop(topic, None)
        self._onto.pop(topic, None)

    def _gone(self, tx: Transaction) -> list[Seen]:
        """The vanished as last seen, and as a write that was begun and never recorded may have left them."""
        for topic in self._since.keys() - self._seen.keys():
            self._seen[topic] = [self._last_seen(tx, topic), *_as_begun(tx, topic)]
        return [seen for topic in self._since for seen in self._seen[topic]]

    def _last_seen(self, tx: Transaction, topic: str) -> Seen:
        known = vault_state.vault_file(tx.connection, topic)
        last = seen_base(tx, known) if known else begun(tx, topic)
        if last is None:
            return Seen(topic, 0, "", file_text(tx.entries_of(topic)))
        # The number of a file that the mirror has removed is used again, soonest by the mirror.
        inode = known.inode if known and not may_be_removed(tx, known) else 0
        # Others may have moved its memories away meanwhile, and have moved others to it.
        at = known.ctime_ns if known else 0
        return Seen(topic, inode, last.digest, self._text(tx, last), at, is_doubtful=known is None)

    def _is_another(self, tx: Transaction, topic: str, file: FileText) -> bool:
        """Whether a file is not the one that was known to have its name, by all that can be seen."""
        known = vault_state.vault_file(tx.connection, topic)
        if known is None or is_numbered(known, file.stat.inode, file.born_ns):
            return False
        last = last_base(tx, known, file)
        return last.digest != file.digest and not are_alike(self._text(tx, last), file.text)

    def _text(self, tx: Transaction, base: VaultBase) -> str:
        if (text := self._texts.get(base)) is None:
            text = self._texts[base] = base_text(tx, base)
        return text


def _is_due(since: float, times: int = 1) -> bool:
    """Whether the patience is over, or will be before the next look."""
    return time.monotonic() - since >= PATIENCE * (times - 0.1)


def _steps(pairs: Mapping[str, str], old: str) -> dict[str, str]:
    """The pair of a name, that of the name it leads to, and so on, in this order; once round where they go round."""
    steps: dict[str, str] = {}
    while old not in steps and (new := pairs.get(old)):
        steps[old] = new
        old = new
    return steps


def _groups(pairs: Mapping[str, str]) -> list[list[tuple[str, str]]]:
    """Each pair with those that its new name leads to."""
    targets, groups, grouped = {*pairs.values()}, list[list[tuple[str, str]]](), set[str]()
    # Names exchanged have no first.
    for old in [*(old for old in pairs if old not in targets), *pairs]:
        if old not in grouped:
            steps = _steps(pairs, old)
            groups.append([*steps.items()])
            grouped |= steps.keys()
    return groups


def _has_moved(tx: Transaction, files: Mapping[str, FileText]) -> bool:
    """Whether any file is, by its number on the disk, one that was known by another name."""
    found = {file.stat.inode: (topic, file.born_ns) for topic, file in files.items()}
    known = ((it, *found[it.inode]) for it in vault_state.files_of(tx.connection, found))
    return any(it.topic != topic and is_numbered(it, it.inode, born_ns) for it, topic, born_ns in known)


def _has_vanished(tx: Transaction, look: Look) -> bool:
    """Whether a file was there and is not any more; so may one be that was made and, before a kill, not recorded."""
    return look.file is None and (not look.unchanged or begun(tx, look.topic) is not None)


def _as_begun(tx: Transaction, topic: str) -> list[Seen]:
    """A known file as the mirror was about to write it; what number that has on the disk was not recorded."""
    known = vault_state.vault_file(tx.connection, topic)
    base = unrecorded(tx, topic, known) if known else None
    if base is None or base.digest == NO_TEXT:
        return []
    return [Seen(topic, 0, base.digest, base_text(tx, base), is_doubtful=True)]


def _is_ours(tx: Transaction, new: Seen, lost: Iterable[str]) -> bool:
    """Whether the mirror has made a file that nothing is known of, and somebody has gone on with it since, or not.

    Inodes are used again, by the mirror too: what it has made is no file that somebody has renamed. `lost` are the
    names whose files are not there any more.
    """
    made = begun(tx, new.topic)
    if made is None or made.digest == new.digest:
        return made is not None
    apart = distance(base_text(tx, made), new.text)
    known = filter(None, (vault_state.vault_file(tx.connection, topic) for topic in lost))
    return apart < len(new.text) and all(apart <= distance(seen_text(tx, it), new.text) for it in known)


def _is_not(known: VaultFile, now: Seen) -> bool:
    return not is_numbered(known, now.inode, now.born_ns)


def _seen(topic: str, file: FileText) -> Seen:
    return Seen(topic, file.stat.inode, file.digest, file.text, born_ns=file.born_ns)

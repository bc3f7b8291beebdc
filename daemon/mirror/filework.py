"""The mirror's hands: looks at files and writes them. Blocking; everything here runs on the one I/O thread."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hiveminddb.daemon.mirror.settling import Look, Todo
from hiveminddb.daemon.tails import Addition
from hiveminddb.errors import HiveMindError, StorageError, Unavailable
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.vault import files
from hiveminddb.vault.files import Reading, Stat
from hiveminddb.vault.held import Late, Written
from hiveminddb.vault.swap import Swap
from hiveminddb.vault.system import translated
from hiveminddb.vault.topics import path_of

log = logging.getLogger(__name__)


# Texts of one round are in memory together; files beyond this are left to the next.
ROUND_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a write: the file as we left it (None: no file), and what somebody had put there meanwhile."""

    todo: Todo
    stat: Stat | None
    displaced: Late | None = None
    disturbed: bool = False


@dataclass(slots=True)
class Looks:
    """What a round of looking found: files to settle, and topics whose file is being written or cannot be read now."""

    ready: list[Look] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    # Of the busy, those that are not the file that was known by their name.
    others: set[str] = field(default_factory=set)

    def join(self, others: Looks) -> None:
        """What others found belongs to the same round."""
        self.ready += others.ready
        self.busy += others.busy
        self.failed += others.failed
        self.others |= others.others

    def from_elsewhere(self, known: Mapping[str, VaultFile]) -> dict[int, int]:
        """Files that were not known to have these names, each maybe another one that was renamed: age by inode."""
        files = [(known.get(look.topic), look.file) for look in self.ready if look.file]
        return {file.stat.inode: file.born_ns for was, file in files if was is None or was.inode != file.stat.inode}

    def take_back(self, known: Mapping[str, VaultFile]) -> list[str]:
        """Takes out what was found as the same file: it got another name between the looks, or has two."""
        found = {look.topic: look.inode(known.get(look.topic)) for look in self.ready}
        counts = Counter(found.values())
        twice = {topic for topic, inode in found.items() if inode and counts[inode] > 1}
        self.ready = [look for look in self.ready if look.topic not in twice]
        return sorted(twice)

    def wait_together(self, known: Mapping[str, VaultFile]) -> None:
        """A file that may have had another name waits for what has that name now, while somebody is writing to it.

        Where that is another file, any new one may be the one that was there, edited and saved by replacing it.
        """
        awaited = {known[topic].inode for topic in self.busy if topic in known}
        files = [(look.topic, look.file.stat.inode) for look in self.ready if look.file]
        waiting = {topic for topic, inode in files if inode in awaited or (self.others and topic not in known)}
        self.busy += sorted(waiting)
        self.ready = [look for look in self.ready if look.topic not in waiting]


class FileWork:
    """Looks at and writes the files of one vault; `refused` says which files are left alone, and why."""

    def __init__(self, swap: Swap) -> None:
        self._swap = swap
        self._readings: dict[str, Reading] = {}
        self.refused: dict[str, str] = {}

    def vanished_first(self, topics: Iterable[str]) -> list[str]:
        """Those without a file before the others, so that the old name of a renamed file is known when the new is."""
        return sorted(topics, key=lambda topic: os.path.lexists(self._swap.root / path_of(topic)))

    def look(self, topics: Sequence[str], known: Mapping[str, VaultFile], most: int = ROUND_BYTES) -> Looks:
        """Each topic's file as it is; one that somebody is writing to is looked at again a little later."""
        found, size = Looks(), 0
        for topic in topics:
            if size >= most:
                self._postpone(found, topic, known.get(topic))
                continue
            try:
                look = self._look(topic, known.get(topic))
            except HiveMindError as error:
                self._refuse(topic, error)
                if _passes(error):
                    found.failed.append(topic)
                continue
            if look is None:
                self._postpone(found, topic, known.get(topic))
            else:
                self.refused.pop(topic, None)
                found.ready.append(look)
                size += look.file.stat.size if look.file else 0
        return found

    def write(self, todos: Sequence[Todo]) -> tuple[list[Outcome], list[Todo]]:
        """Write each file; what came of it, and those that could not be written."""
        done, failed = [], []
        for todo in todos:
            try:
                done.append(self._write(todo))
            except HiveMindError as error:
                self._refuse(todo.topic, error)
                failed.append(todo)
        return done, failed

    def append(self, additions: Sequence[tuple[Addition, VaultFile]]) -> list[Written | None]:
        """Add to each file what it lacks; None where the file is not as known and nothing was written."""
        return [self._append(addition, known) for addition, known in additions]

    def _append(self, addition: Addition, known: VaultFile) -> Written | None:
        try:
            return self._swap.append(path_of(addition.topic), addition.text, stat_of(known))
        except HiveMindError as error:
            self._refuse(addition.topic, error)
            return None

    def _postpone(self, found: Looks, topic: str, known: VaultFile | None) -> None:
        found.busy.append(topic)
        reading = self._readings.get(topic)
        if known and (reading is None or reading.inode != known.inode):
            found.others.add(topic)

    def _look(self, topic: str, known: VaultFile | None) -> Look | None:
        path = path_of(topic)
        stat = files.look(self._swap.root, path)
        if stat is None:
            self._readings.pop(topic, None)
            return Look(topic, unchanged=known is None)
        if same(known, stat):
            self._readings.pop(topic, None)
            return Look(topic, unchanged=True)
        reading = self._readings.get(topic) or Reading(self._swap.root, path, known.size if known else None)
        with translated(path):
            try:
                file = reading.attempt()
            except FileNotFoundError:
                file = None
        if file is None:
            self._readings[topic] = reading
            return None
        self._readings.pop(topic, None)
        return Look(topic, file, unread=known is not None and self._unread(path, known))

    def _unread(self, path: str, known: VaultFile) -> bool:
        return self._swap.unread_since_write(path, stat_of(known))

    def _write(self, todo: Todo) -> Outcome:
        path = path_of(todo.topic)
        if not todo.text:
            displaced = self._swap.remove(path, todo.expected or "", todo.inode)
            return Outcome(todo, None, displaced)
        written = self._swap.write(path, todo.text, todo.expected, todo.inode)
        return Outcome(todo, written.stat, written.displaced, written.disturbed)

    def _refuse(self, topic: str, error: HiveMindError) -> None:
        self._readings.pop(topic, None)
        if self.refused.get(topic) != error.message:
            log.warning("file left alone topic=%r reason=%s", topic, error.message)
        self.refused[topic] = error.message


def is_numbered(known: VaultFile, inode: int, born_ns: int) -> bool:
    """Whether a found file has the number of a known one on the disk, and is old enough to be that one."""
    return known.inode == inode and born_ns <= known.ctime_ns


def same(known: VaultFile | None, stat: Stat) -> bool:
    """Whether a file is as it was when it last agreed with the documents."""
    return known is not None and stat_of(known) == stat


def stat_of(known: VaultFile) -> Stat:
    """The state of a file when it last agreed with the documents."""
    return Stat(known.size, known.mtime_ns, known.ctime_ns, known.inode)


def _passes(error: HiveMindError) -> bool:
    """Whether trying again may help without anybody touching the file."""
    return isinstance(error, (Unavailable, StorageError))

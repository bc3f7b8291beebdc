"""Reading topic files when nobody is in the middle of writing them; links are never followed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hiveminddb.errors import TooLarge, Unavailable, VaultError
from hiveminddb.vault import topics
from hiveminddb.vault.system import Unreadable, born_ns, is_marked_unread, is_written_to, translated

# A topic file is text that a person reads; everything in it is held in memory several times while it is compared.
MAX_FILE_BYTES = 64 * 1024 * 1024

DIGEST_BYTES = 16

LOOK_AGAIN = 0.01
QUIET = 0.02
# How long a writer may keep a file open before its unchanging text is taken as it stands.
PATIENCE = 1.0
# How long when it is shorter than before, as in the middle of truncate-and-write.
CUT_OFF_PATIENCE = 10.0
EMPTIED_PATIENCE = 0.25

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOATIME = getattr(os, "O_NOATIME", 0)


@dataclass(frozen=True, slots=True)
class Stat:
    """What tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int
    # Who sets the time of a write back leaves a trace here.
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class FileText:
    """A whole file at one moment."""

    text: str
    digest: str
    stat: Stat
    # When it came to be, 0 where nobody can say: another file may have had its inode before.
    born_ns: int = 0


def digest_of(data: bytes | str) -> str:
    """The digest by which texts of files are compared."""
    return hashlib.blake2b(data.encode() if isinstance(data, str) else data, digest_size=DIGEST_BYTES).hexdigest()


def stat_of(found: os.stat_result) -> Stat:
    """The parts of a system's stat that count here."""
    return Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class Reading:
    """Looks at one file, again and again, until it is at rest; `known_size` is the size it had before, if known."""

    def __init__(self, root: Path, path: str, known_size: int | None = None) -> None:
        self._root, self._path, self._known_size = root, path, known_size
        self._began = time.monotonic()
        self._seen: os.stat_result | None = None
        self._seen_at = self._began

    @property
    def inode(self) -> int:
        """Which file it was when it was not at rest, 0 for none."""
        return self._seen.st_ino if self._seen else 0

    def attempt(self) -> FileText | None:
        """The file, or None while somebody is writing it: then look again in ten milliseconds.

        Raises FileNotFoundError for no file, Unreadable for one to leave alone, TooLarge, and Unavailable for one
        that is written to all the time. System errors are for `translated`.
        """
        with _missing_is_meant(self._root), folder_of(self._root, self._path) as (folder, name):
            fd = open_to_read(folder, name)
        try:
            return self._look(fd)
        finally:
            os.close(fd)

    def _look(self, fd: int) -> FileText | None:
        before = os.fstat(fd)
        writing = is_written_to(fd)
        if not self._at_rest(before, writing):
            self._note(before)
            return None
        data = read_all(fd, self._path)
        # Somebody may have come while we read: only a file at rest on both sides of the read is whole.
        if not _same(before, os.fstat(fd)) or is_written_to(fd) is not writing:
            self._note(before)
            return None
        return FileText(decoded(data, self._path), digest_of(data), stat_of(before), born_ns(fd))

    def _at_rest(self, now: os.stat_result, writing: bool | None) -> bool:
        waited = time.monotonic() - self._began
        if writing is False:
            # A writer that empties a file first may be between its two steps.
            return now.st_size > 0 or self._known_size == 0 or waited >= EMPTIED_PATIENCE
        quiet = self._seen is not None and _same(self._seen, now) and time.monotonic() - self._seen_at >= QUIET
        if waited >= CUT_OFF_PATIENCE and not quiet:
            raise Unavailable(f"still being written: {self._path!r}", "it is read when its writer is done")
        cut_off = now.st_size < (1 if self._known_size is None else self._known_size)
        patience = 0.0 if writing is None and now.st_size else PATIENCE
        return quiet and waited >= (CUT_OFF_PATIENCE if cut_off and writing else patience)

    def _note(self, now: os.stat_result) -> None:
        if self._seen is None or not _same(self._seen, now):
            self._seen, self._seen_at = now, time.monotonic()


def read(root: Path, path: str, known_size: int | None = None) -> FileText | None:
    """The file once nobody is writing it, None if there is none; blocks while somebody does. Errors as `Reading`."""
    reading = Reading(root, path, known_size)
    with translated(path):
        try:
            while (found := reading.attempt()) is None:
                time.sleep(LOOK_AGAIN)
        except FileNotFoundError:
            return None
        return found


def look(root: Path, path: str) -> Stat | None:
    """The state of a file without opening it; None if there is none, Unreadable for one to leave alone."""
    with translated(path):
        try:
            with _missing_is_meant(root), folder_of(root, path) as (folder, name):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"not a regular file: {path!r}", "links are not followed; put the file itself there")
    return stat_of(found)


def look_in(folder: int, name: str) -> Stat | None:
    """The state of a regular file in an open folder; None if there is none."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat_of(found) if stat.S_ISREG(found.st_mode) else None


def unread_since_write(root: Path, path: str, written: Stat) -> bool:
    """True only if it is certain that nobody read the file since we wrote it, whatever was written to it since."""
    with translated(path):
        try:
            with folder_of(root, path) as (folder, name):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
    return found.st_ino == written.inode and is_marked_unread(found)


@contextmanager
def folder_of(root: Path, path: str, create: bool = False) -> Iterator[tuple[int, str]]:
    """The folder a topic file is in, as an open descriptor, and its name there; no link on the way is followed."""
    topics.topic_of(path)
    *parts, name = path.split("/")
    with _opened(root, parts, create) as fd:
        yield fd, name


def drop_empty(root: Path, folder: str, at_rest_ns: int) -> bool:
    """Removes a folder of the vault that is empty, as it has been since then; True where there is no more to do."""
    *above, name = folder.split("/")
    # One that is not empty, or gone, or that the system wants to keep, is left.
    with suppress(OSError, VaultError), _opened(root, above) as fd:
        if os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime_ns > at_rest_ns:
            return False
        os.rmdir(name, dir_fd=fd)
    return True


@contextmanager
def _opened(root: Path, parts: Sequence[str], create: bool = False) -> Iterator[int]:
    """A folder of the vault."""
    try:
        fd = os.open(root, _FOLDER)
    except FileNotFoundError as error:
        raise VaultError(f"the vault folder has vanished: {root}", "mount its disk, or see `hmd doctor`") from error
    try:
        for part in parts:
            below = _below(fd, part, create)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def open_to_read(folder: int, name: str) -> int:
    """A descriptor whose reads leave no trace where the system allows that."""
    try:
        return os.open(name, _READ | _NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, _READ, dir_fd=folder)


def read_all(fd: int, path: str) -> bytes:
    """Every byte of a regular file of sensible size."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"not a regular file: {path!r}", "only plain files are read")
    if found.st_size > MAX_FILE_BYTES:
        raise TooLarge(f"file of {found.st_size} bytes: {path!r}", f"the limit is {MAX_FILE_BYTES}; split the file")
    parts, at = [], 0
    while part := os.pread(fd, min(MAX_FILE_BYTES, found.st_size - at + 1), at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def decoded(data: bytes, path: str) -> str:
    """The text of a file; Unreadable where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        where = f"byte {error.start} of {path!r}"
        raise Unreadable(f"not UTF-8: {where}", "the file is left alone; save it as UTF-8") from error


@contextmanager
def _missing_is_meant(root: Path) -> Iterator[None]:
    """A file missing from a folder that is not the vault any more is not a removed file."""
    try:
        yield
    except FileNotFoundError:
        if not (root / topics.RESERVED).is_dir():
            raise VaultError(f"the folder is not the vault any more: {root}", "mount its disk") from None
        raise


def _below(fd: int, part: str, create: bool) -> int:
    if create:
        try:
            os.mkdir(part, dir_fd=fd)
            os.fsync(fd)
        except FileExistsError:
            pass
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except NotADirectoryError:
        if create or not stat.S_ISREG(os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode):
            raise
        # A file has the folder's name now: nothing is below it any more.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), part) from None


def _same(a: os.stat_result, b: os.stat_result) -> bool:
    return stat_of(a) == stat_of(b)

"""SQLite's errors said in the project's words, at the border of this folder."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from hiveminddb.errors import Corrupt, DiskFull, ReadOnly, StorageError

_ROOM_FOR_ANYTHING = 1 << 20


def translated(error: apsw.Error | OSError, path: Path) -> StorageError:
    """The error a user can act on; the cause is left to `raise … from`."""
    if isinstance(error, apsw.FullError) or _out_of_space(error, path):
        return DiskFull(
            f"no room left for the database: {path}",
            "free some space on this disk; nothing acknowledged is lost, and reading goes on",
        )
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, PermissionError)):
        return ReadOnly(f"the database cannot be written: {path}", "check the mode of the file and its folder")
    if isinstance(error, apsw.NotADBError):
        return Corrupt(f"not a HiveMindDB database: {path}", "move the file away, or point the data folder elsewhere")
    if isinstance(error, apsw.CorruptError):
        return Corrupt(
            f"the database is damaged: {path}: {error}",
            "stop the daemon if it runs (hmd down), then: hmd doctor --rebuild; it keeps the damaged file",
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StorageError(f"another process holds the database: {path}", "stop the program that has it open")
    return StorageError(f"the database failed: {path}: {error}", "look at the disk's health and the system's log")


def _out_of_space(error: apsw.Error | OSError, path: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    # SQLite reports a shared-memory file that cannot grow as an I/O error, without the system's reason.
    return isinstance(error, apsw.IOError | apsw.CantOpenError) and _free_bytes(path) < _ROOM_FOR_ANYTHING


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return _ROOM_FOR_ANYTHING


@contextmanager
def translating(path: Path) -> Iterator[None]:
    """Whatever SQLite raises inside comes out as one of ours."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise translated(error, path) from error

"""Opening a connection, and the numbered migrations; the number is kept in the file's `user_version`."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import apsw
import sqlite_vec

from hiveminddb.errors import Corrupt, NewerDatabase

# One SQL file per step, in order; a step that has been released is never edited.
MIGRATIONS = ("001_memories.sql",)
LATEST = len(MIGRATIONS)

# Tells our files from any other SQLite database: "HMDB".
APPLICATION_ID = 0x484D4442

# Where SQLite's file format keeps what must be known before the file is opened.
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES, _VERSION_AT, _OWNER_AT = 100, 60, 68

_BUSY_MS = 5000
_WRITER_CACHE_KB = 32 * 1024
_READER_CACHE_KB = 8 * 1024


def open_writer(path: Path) -> apsw.Connection:
    """The connection that writes: WAL, and a commit that is on the disk when it returns."""
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, _WRITER_CACHE_KB)
    if not connection.readonly("main"):
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        # The writer checkpoints by itself, after its callers have been answered.
        connection.pragma("wal_autocheckpoint", 0)
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that can only read."""
    return _open(path, apsw.SQLITE_OPEN_READONLY, _READER_CACHE_KB)


def _open(path: Path, flags: int, cache_kb: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(_BUSY_MS)
    # Else SQLite plans many a statement anew each time it is executed, as the values bound might ask for another plan.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.pragma("cache_size", -cache_kb)
    connection.pragma("temp_store", "memory")
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
    return connection


def refuse_foreign(path: Path) -> None:
    """Raises for a file of a newer version or of another program, before anything is written to it or beside it."""
    with path.open("rb") if path.exists() else nullcontext() as file:
        header = file.read(_HEADER_BYTES) if file else b""
    if not header:
        return
    if not header.startswith(_MAGIC):
        raise _foreign(path)
    owner = int.from_bytes(header[_OWNER_AT : _OWNER_AT + 4])
    if owner not in (0, APPLICATION_ID) or (owner == 0 and not _unclaimed(path)):
        raise _foreign(path)
    _refuse_newer(path, int.from_bytes(header[_VERSION_AT : _VERSION_AT + 4]))


def _unclaimed(path: Path) -> bool:
    """Whether a file without an owner is empty, or ours with the first step still in the log."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        owner: int = connection.pragma("application_id")
        return owner == APPLICATION_ID or connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    finally:
        connection.close()


def _foreign(path: Path) -> Corrupt:
    return Corrupt(f"not a HiveMindDB database: {path}", "move the file away, or point the data folder elsewhere")


def _refuse_newer(path: Path, version: int) -> None:
    if version > LATEST:
        raise NewerDatabase(
            f"the database has schema {version}, this program knows up to {LATEST}: {path}",
            "install the newer HiveMindDB again; the file has not been touched",
        )


def migrate(connection: apsw.Connection) -> int:
    """Brings the file to the latest schema, each step in its own transaction; the number of steps taken."""
    version = connection.pragma("user_version")
    _refuse_newer(Path(connection.filename), version)
    for number, name in enumerate(MIGRATIONS[version:], start=version + 1):
        script = files(__package__).joinpath(name).read_text("utf-8")
        with connection:
            connection.execute(script)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", number)
    return LATEST - int(version)

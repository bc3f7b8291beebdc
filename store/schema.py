"""Opening a connection, and the numbered migrations; the number is kept in the file's `user_version`."""

from __future__ import annotations

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
    connection.pragma("cache_size", -cache_kb)
    connection.pragma("temp_store", "memory")
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
    return connection


def refuse_foreign(path: Path) -> None:
    """Raises for a file of a newer version or of another program, before anything is written to it."""
    if not path.exists() or path.stat().st_size == 0:
        return
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        version, owner = connection.pragma("user_version"), connection.pragma("application_id")
        empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    finally:
        connection.close()
    if owner != APPLICATION_ID and not empty:
        raise Corrupt(f"not a HiveMindDB database: {path}", "point the data folder at an empty folder")
    if version > LATEST:
        raise NewerDatabase(
            f"the database has schema {version}, this program knows up to {LATEST}: {path}",
            "install the newer HiveMindDB again; the file has not been touched",
        )


def migrate(connection: apsw.Connection) -> int:
    """Brings the file to the latest schema, each step in its own transaction; the number of steps taken."""
    version = connection.pragma("user_version")
    for number, name in enumerate(MIGRATIONS[version:], start=version + 1):
        script = files(__package__).joinpath(name).read_text("utf-8")
        with connection:
            connection.execute(script)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", number)
    return LATEST - int(version)

"""A whole database from a damaged one: what is true is copied, all that follows from it is to be made anew.

Most pages hold what is derived (rows, indexes, vectors), so that damage mostly costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from hiveminddb.errors import Corrupt
from hiveminddb.store import schema
from hiveminddb.store.check import Finding, check
from hiveminddb.store.failures import translated

# Nothing tells what a missing row of these said.
_TRUTH = ("changes", "commits", "ahead", "meta", "machine", "leases", "registers", "names", "nodes", "results")
# Vectors are made again, files are read again: some of them missing costs time, or the memory of a former text.
_HELPFUL = ("vectors", "vault_files", "vault_bases")

# What is left to do where that is not enough.
HINT = (
    "what the vault's files say is whole: move the data folder away and run `hmd up`, which takes them in; a machine of"
    " a swarm then joins again and gets all back. A backup of the file is better than either"
)


def examine(path: Path) -> list[Finding]:
    """Every check on a file that nobody has open, changing nothing."""
    with _reading(path):
        schema.refuse_foreign(path)
        connection = schema.open_reader(path)
        try:
            return check(connection)
        finally:
            connection.close()


def settle(path: Path) -> None:
    """Brings what is in the log beside the file into it, so that the file is all there is. Nobody may have it open."""
    with _reading(path):
        schema.refuse_foreign(path)
        connection = schema.open_writer(path)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()


def salvage(damaged: Path, whole: Path) -> list[str]:
    """Makes `whole`, a new file, of what `damaged` holds; the tables of which rows were lost that can be done without.

    Its projections are empty: a rebuild is due. Raises Corrupt where what cannot be done without cannot be read.
    """
    with _reading(damaged):
        source, target = schema.open_reader(damaged), schema.open_writer(whole)
        try:
            schema.migrate(target)
            with target:
                for table in _TRUTH:
                    _copy_all(source, target, table)
                lost = [table for table in _HELPFUL if not _copy_some(source, target, table)]
        finally:
            target.close()
            source.close()
    return lost


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Damage that stops even this is told with what is left to do, not with the advice to come here."""
    try:
        yield
    except apsw.CorruptError as error:
        raise Corrupt(f"too much of the database is damaged: {path}: {error}", HINT) from error
    except (apsw.Error, OSError) as error:
        raise translated(error, path) from error


def _copy_all(source: apsw.Connection, target: apsw.Connection, table: str) -> None:
    # A new file begins with rows of its own.
    target.execute(f"DELETE FROM {table}")
    try:
        _copy(source, target, table)
    except apsw.Error as error:
        raise Corrupt(f"the table {table} of the database cannot be read: {error}", HINT) from error


def _copy_some(source: apsw.Connection, target: apsw.Connection, table: str) -> bool:
    """From both ends, so that what lies behind the damage is found too; whether all was."""
    for back in (False, True):
        try:
            _copy(source, target, table, back)
        except apsw.Error:
            continue
        return not back
    return False


def _copy(source: apsw.Connection, target: apsw.Connection, table: str, back: bool = False) -> None:
    names, keys = _columns(target, table)
    order = ", ".join(f"{key} DESC" if back else key for key in keys)
    # By the table itself: an index may be what is damaged.
    rows = source.execute(f"SELECT {', '.join(names)} FROM {table} NOT INDEXED ORDER BY {order}")
    marks = ", ".join("?" * len(names))
    target.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


def _columns(connection: apsw.Connection, table: str) -> tuple[list[str], list[str]]:
    """The columns of a table, and those by which its rows lie on the disk."""
    columns = list(connection.execute(f"SELECT name, pk FROM pragma_table_info('{table}')"))
    is_keyed = connection.execute(f"SELECT wr FROM pragma_table_list('{table}')").get
    keys = [f'"{name}"' for name, place in sorted(columns, key=lambda it: it[1]) if place] if is_keyed else ["rowid"]
    return [f'"{name}"' for name, _ in columns], keys

"""`python -m hiveminddb.daemon.mending`: a database while no daemon runs, looked at or made anew from its changes.

Prints JSON: `{"checks": [...]}`, or `{"error": ..., "hint": ...}` and ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from hiveminddb.daemon.lock import data_lock
from hiveminddb.daemon.pipeline import Pipeline, Put
from hiveminddb.errors import Corrupt, HiveMindError
from hiveminddb.model import NodeId
from hiveminddb.store import salvage, topic_files, vault_state, vectors
from hiveminddb.store.check import check
from hiveminddb.store.database import Database
from hiveminddb.store.rebuild import rebuild
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.clock import Clock
from hiveminddb.sync.raft.storage import sync_folder
from hiveminddb.upkeep import Check

DATABASE = "hivemind.db"

_ALL = 1 << 31


class _Nobody:
    """No search index follows what is made here."""

    def committed(self, put: Put) -> None:
        """Nobody looks."""


def remade(tx: Transaction, pipeline: Pipeline) -> int:
    """Everything that follows from the changes, made anew; how many they are."""
    with pipeline.replaying(tx):
        count = rebuild(tx, pipeline.absorb)
    if in_use := vectors.active(tx.connection):
        vectors.activate(tx.connection, in_use)
    tx.flush_index()
    return count


def looked_at(path: Path) -> list[Check]:
    """What is wrong with a database that no daemon uses."""
    found = [Check(it.check, it.ok, it.message) for it in salvage.examine(path)]
    if all(it.ok for it in found):
        return [Check("database", True, "whole")]
    hint = "`hmd doctor --rebuild` makes the database anew from its changes, and keeps the damaged file"
    return [*(it for it in found if not it.ok), Check("database", False, hint)]


async def mended(path: Path) -> list[Check]:
    """A whole database in the place of a damaged one, which is kept beside it. Raises Corrupt where that cannot be.

    Of one that is whole already, the rows and indexes are made anew.
    """
    if all(it.ok for it in looked_at(path)):
        async with Database(path) as database:
            count = await database.write(lambda tx: remade(tx, _replay()))
        return [Check("rebuild", True, f"projections made anew from {count} changes", repaired=True)]
    salvage.settle(path)
    kept = path.with_name(f"{path.name}.damaged-{_now()}")
    with _fresh(path) as fresh:
        lost = salvage.salvage(path, fresh)
        count = await _remade(fresh)
        _keep(path, kept)
        _put(fresh, path)
    said = f"made anew from {count} changes; the damaged one is kept as {kept.name}"
    partly = f"{', '.join(lost)} only in part: vectors are made again, files looked at again"
    return [
        Check("database", True, said, repaired=True),
        *([Check("side records", True, partly, repaired=True)] if lost else []),
    ]


@contextmanager
def _fresh(path: Path) -> Iterator[Path]:
    """A file beside that one; nothing of it is left in the end, nor of one that a kill has left."""
    fresh = path.with_name(f"{path.name}.new")
    made = (fresh, _log(fresh), fresh.with_name(f"{fresh.name}-shm"))
    try:
        for left in made:
            left.unlink(missing_ok=True)
        yield fresh
    finally:
        for left in made:
            left.unlink(missing_ok=True)


async def _remade(fresh: Path) -> int:
    async with Database(fresh) as database:
        count = await database.write(_whole)
        wrong = [it for it in await database.read(check) if not it.ok]
    if wrong:
        told = "; ".join(f"{it.check}: {it.message}" for it in wrong)
        raise Corrupt(f"the changes that can be read do not make a whole database: {told}", salvage.HINT)
    return count


def _whole(tx: Transaction) -> int:
    if model := vectors.active(tx.connection):
        # Its table is there from the beginning.
        vectors.activate(tx.connection, model)
    count = remade(tx, _replay())
    # What was still to be done is looked for again.
    for memory in vectors.missing(tx.connection, model.model if model else "", _ALL):
        tx.mark("embed", memory.id, memory.n)
    files = (file.topic for file in vault_state.vault_files(tx.connection))
    for topic in {*topic_files.living_topics(tx.connection), *files}:
        tx.mark("mirror", topic, tx.counters.n)
    return count


def _replay() -> Pipeline:
    return Pipeline(NodeId(""), Clock(), _Nobody())


def _keep(path: Path, kept: Path) -> None:
    try:
        os.link(path, kept)
    except OSError:
        # Not every file system has links.
        shutil.copy2(path, kept)


def _put(fresh: Path, path: Path) -> None:
    """In one step: there is always a database."""
    for log in (_log(fresh), _log(path)):
        # It would be read into the wrong file.
        if log.exists() and log.stat().st_size:
            raise Corrupt(f"another program has the database open: {log} is not empty", "stop it and try again")
    os.replace(fresh, path)
    sync_folder(path.parent)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 with what was found on stdout, 1 with a reason there."""
    parser = argparse.ArgumentParser(prog="hmd doctor", description="The database of a daemon that does not run.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rebuild", action="store_true")
    given = parser.parse_args(arguments)
    path = given.data_dir / DATABASE
    try:
        with data_lock(given.data_dir):
            checks = asyncio.run(mended(path)) if given.rebuild else looked_at(path)
    except HiveMindError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}))
        return 1
    print(json.dumps({"checks": [asdict(it) for it in checks]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

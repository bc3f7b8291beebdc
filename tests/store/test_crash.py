"""Power off by force: what was acknowledged before a kill is there after it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from hiveminddb.store.check import check
from hiveminddb.store.database import Connection, Database
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio

# Several writers at once, each saying an id out loud only when its write has been answered.
WRITING = """
import asyncio, os, sys
from hiveminddb.store.database import Database
from tests.store.making import add, new_id, row_of

async def main():
    async with Database(sys.argv[1]) as database:
        async def writing():
            while True:
                row = row_of(new_id(), "word " * 200, topic="notes")
                await database.write(lambda tx: add(tx, row))
                os.write(1, row.id.encode() + b"\\n")
        await asyncio.gather(*(writing() for _ in range(4)))

asyncio.run(main())
"""


def write_until_killed(path: Path, chance: random.Random) -> list[str]:
    output = path.with_suffix(".out")
    with output.open("wb") as out:
        writing = subprocess.Popen([sys.executable, "-c", WRITING, path], stdout=out)
        try:
            enough = chance.randint(1, 400) * 21
            wait_until(lambda: output.stat().st_size >= enough or writing.poll() is not None)
        finally:
            writing.kill()
            writing.wait()
    assert writing.returncode == -9
    return output.read_bytes().decode().split()


async def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path, chance = tmp_path / "x.db", random.Random(1)
    acknowledged: set[str] = set()
    for _ in range(6):
        acknowledged.update(write_until_killed(path, chance))
        async with Database(path) as database:
            assert acknowledged <= await database.read(ids)
            assert [finding for finding in await database.read(check) if not finding.ok] == []


def ids(connection: Connection) -> set[str]:
    return {id for (id,) in connection.execute("SELECT id FROM memories")}

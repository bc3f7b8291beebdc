from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from hiveminddb.errors import StorageError
from hiveminddb.store.database import READERS, Database
from hiveminddb.store.memories import memory
from tests.store.making import add, row_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["x.db", "x.db-wal"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_acknowledged_into_a_file_that_is_gone_and_all_goes_on_once_it_is_back(
    tmp_path: Path, name: str, replaced: bool
) -> None:
    file, aside = tmp_path / name, tmp_path / "aside"
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row_of("aaaa", "before")))
        readers = threading.Barrier(READERS)
        await asyncio.gather(*(database.read(lambda c: readers.wait(30)) for _ in range(READERS)))
        file.rename(aside)
        if replaced:
            shutil.copy(aside, file)
        with pytest.raises(StorageError, match=f"moved, removed or replaced while in use: .*{name}"):
            await database.write(lambda tx: add(tx, row_of("bbbb", "lost")))
        assert await database.read(lambda c: memory(c, "bbbb")) is None
        assert await database.read(lambda c: memory(c, "aaaa")) is not None
        aside.rename(file)
        await database.write(lambda tx: add(tx, row_of("cccc", "after")))
    async with Database(tmp_path / "x.db") as database:
        found = await database.read(lambda c: [memory(c, id) is not None for id in ("aaaa", "bbbb", "cccc")])
        assert found == [True, False, True]

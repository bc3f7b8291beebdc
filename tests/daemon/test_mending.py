"""A database with damaged pages, made anew while no daemon runs."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hiveminddb.daemon.lock import data_lock
from hiveminddb.daemon.mending import DATABASE, looked_at, main, mended
from hiveminddb.errors import Corrupt
from hiveminddb.store import outbox, schema, vectors
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vectors import ActiveModel
from tests.daemon.desk import desk
from tests.store.making import dump

pytestmark = pytest.mark.anyio

MODEL = ActiveModel("small", 64)
WORDS = "walnut river anchor garden winter bridge candle meadow"


def _with_vectors(tx: Transaction) -> None:
    vectors.activate(tx.connection, MODEL)
    for memory in vectors.missing(tx.connection, "small", 1000):
        vector = np.frombuffer(memory.text_hash * 16, np.uint8)[:64].astype(np.float32)
        vectors.put(tx.connection, memory.text_hash, "small", vector)
        tx.unmark("embed", memory.id, memory.n)


async def live(folder: Path) -> None:
    """Forty files, edits, a rename, vectors."""
    async with desk(folder) as it:
        topics = [f"{number}" for number in range(40)]
        for number in topics:
            (it.vault / f"{number}.md").write_text(f"# {number}\n\n{WORDS} {number}\n" * 20)
        await it.settle(*topics)
        for number in topics[::3]:
            (it.vault / f"{number}.md").write_text(f"# {number}\n\n{WORDS} {number} edited\n" * 20)
        await it.settle(*topics)
        (it.vault / "0.md").rename(it.vault / "moved.md")
        await it.settle("0", "moved")
        await it.database.write(_with_vectors)
        await it.settle("moved")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    asyncio.run(live(folder))
    return folder / DATABASE


@pytest.fixture
def path(tmp_path: Path, lived: Path) -> Path:
    """A database of which nothing is left to do."""
    return Path(shutil.copy(lived, tmp_path))


def _seen(connection: Connection) -> dict[str, Any]:
    """All that a person can see. Which number a memory has in the search index is no part of it."""
    columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info('memories')")]
    shown = ", ".join(name for name in columns if name != "slot")
    rows = dump(connection, ("changes", "commits", "past", "memory_tags", "nodes", "leases"))
    del rows["indexed"], rows["terms"]
    return rows | {
        "memories": connection.execute(f"SELECT {shown} FROM memories ORDER BY id").fetchall(),
        "found": connection.execute("SELECT count(*) FROM entries('edited')").get,
    }


async def read(path: Path) -> dict[str, Any]:
    async with Database(path) as database:
        return await database.read(_seen)


def pages_of(path: Path, name: str) -> list[int]:
    """The pages of a table or an index."""
    connection = schema.open_reader(path)
    try:
        return [n for (n,) in connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY pageno", (name,))]
    finally:
        connection.close()


def damage(path: Path, page: int) -> None:
    connection = schema.open_reader(path)
    size = connection.pragma("page_size")
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))


def content(path: Path) -> bytes:
    return path.read_bytes()


def list_new(path: Path) -> list[Path]:
    return [*path.parent.glob(f"{DATABASE}.new*")]


def kept_files(path: Path) -> list[bytes]:
    return [it.read_bytes() for it in path.parent.glob(f"{DATABASE}.damaged-*")]


DERIVED = [
    "memories", "past", "memory_tags", "documents", "entries_data", "entries_docsize", "memories_topic",
    "memories_text", "changes_document", "changes_origin", "to_embed", "to_mirror", "passages_vector_chunks00",
    "passages_rowids", "vectors", "vault_bases", "vault_files",
]  # fmt: skip


@pytest.mark.parametrize("name", DERIVED)
@pytest.mark.parametrize("which", [0, -1], ids=["root", "last"])
async def test_damage_in_what_follows_from_the_changes_is_mended(path: Path, name: str, which: int) -> None:
    before = await read(path)
    damage(path, pages_of(path, name)[which])
    damaged = content(path)
    assert not all(it.ok for it in looked_at(path)), "nobody sees the damage"
    checks = await mended(path)
    assert all(it.ok for it in checks)
    assert await read(path) == before
    assert kept_files(path) == [damaged]
    assert all(it.ok for it in looked_at(path))


@pytest.mark.parametrize("name", ["changes", "commits", "meta"])
async def test_damage_in_the_changes_themselves_is_told_and_nothing_is_touched(path: Path, name: str) -> None:
    damage(path, pages_of(path, name)[-1])
    damaged = content(path)
    with pytest.raises(Corrupt, match=name) as failure:
        await mended(path)
    assert "vault" in failure.value.hint
    assert content(path) == damaged
    assert not list_new(path)


@pytest.mark.parametrize("left", [0.5, 100, 50], ids=["half", "the header", "less than the header"])
def test_where_nothing_can_be_mended_the_way_on_is_told_and_nothing_is_touched(path: Path, left: float) -> None:
    whole = content(path)
    path.write_bytes(whole[: int(left * len(whole)) if left < 1 else int(left)])
    damaged = content(path)
    for look in (looked_at, lambda path: asyncio.run(mended(path))):
        with pytest.raises(Corrupt) as failure:
            look(path)
        assert "vault" in failure.value.hint
    assert content(path) == damaged
    assert not list_new(path)


async def test_of_vectors_only_those_on_damaged_pages_are_made_again(path: Path) -> None:
    pages = pages_of(path, "vectors")
    damage(path, pages[len(pages) // 2])
    _, side = await mended(path)
    assert "vectors only in part" in side.message
    async with Database(path) as database:
        coverage = await database.read(lambda db: vectors.coverage(db, "small"))
        waiting = await database.read(lambda db: outbox.pending_count(db, "embed"))
    assert coverage.vectors > 0
    assert waiting == coverage.missing > 0


async def test_every_file_is_looked_at_again(path: Path) -> None:
    damage(path, pages_of(path, "memories")[0])
    await mended(path)
    async with Database(path) as database:
        marked = {mark.key for mark in await database.read(lambda db: outbox.pending(db, "mirror", 100))}
        assert marked == {*map(str, range(1, 40)), "moved"}


async def test_of_a_whole_database_what_follows_from_the_changes_is_made_anew(path: Path) -> None:
    before = await read(path)
    async with Database(path) as database:
        await database.write(lambda tx: tx.connection.execute("UPDATE memories SET text = 'of nobody'").fetchall())
    assert await read(path) != before
    (check,) = await mended(path)
    assert (check.check, check.ok, check.repaired) == ("rebuild", True, True)
    assert await read(path) == before
    assert not list(path.parent.glob("*.damaged-*"))


def test_a_database_that_a_daemon_has_is_left_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with data_lock(tmp_path):
        assert main(["--data-dir", str(tmp_path), "--rebuild"]) == 1
    assert "another daemon" in capsys.readouterr().out

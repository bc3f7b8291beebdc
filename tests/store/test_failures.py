"""What goes wrong with disks and files, with the real errors of SQLite wherever they can be had."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from hiveminddb.errors import Corrupt, DiskFull, NewerDatabase, ReadOnly, StorageError
from hiveminddb.store import changes, schema
from hiveminddb.store.check import check
from hiveminddb.store.database import Database
from hiveminddb.store.memories import memories, memory
from tests.store.making import add, find, row_of

pytestmark = pytest.mark.anyio


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size; the test is skipped where mounting is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def grow(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """A file nobody may write, root neither; the test is skipped where the file system has no such thing."""
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", path], capture_output=True).returncode != 0:
        pytest.skip("files cannot be made immutable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def digest(path: Path) -> tuple[str, list[Path]]:
    """What the file holds, and what lies beside it."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), sorted(path.parent.iterdir())


async def test_a_full_disk_fails_the_write_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        path = disk / "x.db"
        written: list[str] = []
        async with Database(path) as database:
            with pytest.raises(DiskFull, match=r"x\.db") as failure:
                while True:
                    row = row_of(f"id{len(written):06}", "word " * 2000)
                    await database.write(lambda tx, row=row: add(tx, row))  # type: ignore[misc]
                    written.append(row.id)
            assert "free some space" in failure.value.hint
            assert written
            # Reading goes on, and what failed is nowhere.
            assert await database.read(changes.last_change) == len(written)
            assert list(await database.read(lambda c: memories(c, written))) == written
            grow(disk, "8m")
            await database.write(lambda tx: add(tx, row_of("later", "word")))
        async with Database(path) as database:
            assert await find(database, "word") == [*written, "later"]
            assert [f for f in await database.read(check) if not f.ok] == []


async def test_a_full_disk_at_the_start_is_said(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "filler").write_bytes(b"x" * (60 << 10))
        with pytest.raises(DiskFull):
            async with Database(disk / "x.db"):
                pass


async def test_a_database_that_cannot_grow_fails_only_the_works_that_need_room(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row_of("first", "x")))
        pages = await database.read(lambda c: c.pragma("page_count"))
        await database.write(lambda tx: tx.connection.pragma("max_page_count", pages + 1))
        with pytest.raises(DiskFull):
            await database.write(lambda tx: add(tx, row_of("large", "word " * 100_000)))
        await database.write(lambda tx: tx.set_meta("small", "fits"))
        assert await database.read(changes.last_change) == 1
        await database.write(lambda tx: tx.connection.pragma("max_page_count", 1 << 30))
        assert await database.write(lambda tx: add(tx, row_of("large", "word " * 100_000))) == range(2, 3)


async def test_a_file_that_cannot_be_written_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with Database(path) as database:
        await database.write(lambda tx: add(tx, row_of("idid", "hello")))
    with immutable(path):
        async with Database(path) as database:
            with pytest.raises(ReadOnly, match=r"x\.db"):
                await database.write(lambda tx: add(tx, row_of("other", "no")))
            row = await database.read(lambda c: memory(c, "idid"))
            assert row is not None and row.content == "hello"
    async with Database(path) as database:
        await database.write(lambda tx: add(tx, row_of("other", "yes")))


async def test_a_damaged_page_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with Database(path) as database:
        await database.write(lambda tx: add(tx, *(row_of(f"id{i:06}", "word " * 100) for i in range(500))))
        page_size, root = await database.read(
            lambda c: (
                c.pragma("page_size"),
                c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'memories'").get,
            )
        )
    with path.open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(b"\xff" * page_size)
    async with Database(path) as database:
        with pytest.raises(Corrupt, match=r"damaged: .*x\.db") as failure:
            await database.read(lambda c: memory(c, "id000001"))
        assert "hmd doctor" in failure.value.hint
        assert len(await database.read(lambda c: changes.changes_of(c, "id000001"))) == 1
        findings = {finding.check: finding for finding in await database.read(check)}
        assert not findings["pages"].ok
        assert not findings["versions that do not count up"].ok
        assert findings["order of changes"].ok
        with pytest.raises(Corrupt):
            await database.write(lambda tx: tx.put_new([row_of("new", "x")], [1]))
        assert len(await database.read(lambda c: changes.changes_of(c, "id000001"))) == 1


async def test_what_is_not_a_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"# a markdown file\n" * 500)
    before = digest(path)
    with pytest.raises(Corrupt, match="not a HiveMindDB database"):
        async with Database(path):
            pass
    assert digest(path) == before


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    before = digest(path)
    with pytest.raises(Corrupt, match="not a HiveMindDB database"):
        async with Database(path):
            pass
    assert digest(path) == before


async def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with Database(path) as database:
        await database.write(lambda tx: add(tx, row_of("idid", "hello")))
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", schema.LATEST + 1)
    connection.close()
    before = digest(path)
    with pytest.raises(NewerDatabase, match=f"schema {schema.LATEST + 1}"):
        async with Database(path):
            pass
    assert digest(path) == before


async def test_a_newer_version_still_in_the_log_is_refused_too(tmp_path: Path) -> None:
    path, killed = tmp_path / "x.db", tmp_path / "killed"
    connection = schema.open_writer(path)
    schema.migrate(connection)
    connection.wal_checkpoint()
    connection.pragma("user_version", schema.LATEST + 1)
    copy(path, killed)
    connection.close()
    with pytest.raises(NewerDatabase):
        async with Database(killed / "x.db"):
            pass


def copy(path: Path, folder: Path) -> None:
    """The file and its log as a kill would leave them."""
    folder.mkdir()
    for name in ("x.db", "x.db-wal"):
        shutil.copy(path.with_name(name), folder / name)


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"x\.db"):
        async with Database(tmp_path / "file" / "x.db"):
            pass

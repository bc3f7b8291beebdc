"""Every save is told, those inside folders that come and go too; what is hidden is not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hiveminddb.vault.vault import Vault
from tests.vault.processes import actor

pytestmark = pytest.mark.anyio


class Told:
    """What the watcher told since somebody last asked."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.topics: set[str] = set()
        self.rescans = 0
        self._more = asyncio.Event()

    async def listen(self) -> None:
        async for batch in self.vault.changes():
            self.topics |= batch.topics
            self.rescans += batch.rescan
            self._more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(180):
            while not condition():
                self._more.clear()
                await self._more.wait()

    def forget(self) -> None:
        self.topics, self.rescans = set(), 0


@asynccontextmanager
async def watching(root: Path) -> AsyncIterator[Told]:
    vault = Vault(root)
    vault.scan([])
    told = Told(vault)
    task = asyncio.create_task(told.listen())
    await told.until(lambda: told.rescans > 0)
    told.forget()
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_way_of_saving_is_told(tmp_path: Path) -> None:
    saves = {
        "new": "open(f'{root}/new.md', 'w').write('x')",
        "vim": "os.rename(f'{root}/vim.md', f'{root}/vim.md~'); open(f'{root}/vim.md', 'w').write('x');"
        "os.remove(f'{root}/vim.md~')",
        "swap": "open(f'{root}/.swap.tmp', 'w').write('x'); os.rename(f'{root}/.swap.tmp', f'{root}/swap.md')",
        "place": "open(f'{root}/place.md', 'w').write('y')",
        "append": "open(f'{root}/append.md', 'a').write('y')",
        "gone": "os.remove(f'{root}/gone.md')",
    }
    for name in saves:
        (tmp_path / f"{name}.md").write_text("x")
    async with watching(tmp_path) as told:
        with actor() as other:
            other.does(f"import os; root = {str(tmp_path)!r}")
            for name, save in saves.items():
                told.forget()
                other.does(save)
                await told.until(lambda name=name: name in told.topics)  # type: ignore[misc]
                assert told.topics == {name}


async def test_folders_that_appear_move_and_vanish_are_told(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "in" / "deep").mkdir(parents=True)
    (outside / "in" / "deep" / "x.md").write_text("x")
    root = tmp_path / "vault"
    async with watching(root) as told:
        (outside / "in").rename(root / "in")
        await told.until(lambda: "in/deep/x" in told.topics)
        told.forget()
        (root / "in").rename(root / "out")
        await told.until(lambda: told.rescans > 0 and "out/deep/x" in told.topics)
        told.forget()
        (root / "out").rename(outside / "out")
        await told.until(lambda: told.rescans > 0)
        told.forget()
        (root / "a" / "b" / "c").mkdir(parents=True)
        (root / "a" / "b" / "c" / "y.md").write_text("y")
        await told.until(lambda: "a/b/c/y" in told.topics)
        told.forget()
        (root / "a" / "b" / "c" / "z.md").write_text("z")
        await told.until(lambda: "a/b/c/z" in told.topics)
        told.forget()
        shutil.rmtree(root / "a")
        await told.until(lambda: told.rescans > 0)


async def test_a_folder_that_moves_and_is_followed_by_another_of_its_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "one.md").write_text("one")
    async with watching(tmp_path) as told:
        (tmp_path / "work").rename(tmp_path / "archive")
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "two.md").write_text("two")
        await told.until(lambda: told.rescans > 0 and {"archive/one", "work/two"} <= told.topics)


async def test_what_is_hidden_or_temporary_is_not_told(tmp_path: Path) -> None:
    async with watching(tmp_path) as told:
        for name in (
            ".git/x.md",
            ".obsidian/x.md",
            ".trash/x.md",
            ".hivemind/swap/x.md",
            ".a.md.swp",
            ".#a.md",
            "a.md~",
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("x")
        (tmp_path / "4913").write_text("")
        (tmp_path / "a.tmp").write_text("")
        (tmp_path / "last.md").write_text("x")
        await told.until(lambda: "last" in told.topics)
        assert told.topics == {"last"} and told.rescans == 0


async def test_a_folder_that_vanishes_and_comes_back_is_watched_again(tmp_path: Path) -> None:
    root = tmp_path / "vault"
    async with watching(root) as told:
        root.rename(tmp_path / "away")
        await told.until(lambda: told.rescans > 0)
        told.forget()
        (tmp_path / "away").rename(root)
        await told.until(lambda: told.rescans > 0)
        told.forget()
        (root / "a.md").write_text("x")
        await told.until(lambda: "a" in told.topics)


async def test_thousands_of_files_at_once_are_all_told(tmp_path: Path) -> None:
    async with watching(tmp_path) as told:
        for n in range(3000):
            (tmp_path / f"f{n}.md").write_text("x")
        await told.until(lambda: told.rescans > 0 or len(told.topics) == 3000)

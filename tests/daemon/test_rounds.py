"""What the mirror makes of a round of files, on a real disk; nothing rings, and nobody else writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hiveminddb.daemon.commits import Bell, Commits
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.mirror.agenda import Agenda
from hiveminddb.daemon.mirror.bases import NO_TEXT
from hiveminddb.daemon.mirror.filework import FileWork, Looks, Outcome
from hiveminddb.daemon.mirror.mirror import Mirror
from hiveminddb.daemon.mirror.renaming import PATIENCE
from hiveminddb.daemon.mirror.settling import Look, Settler, Todo
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.tails import Tails
from hiveminddb.model import NodeId
from hiveminddb.store import memories, vault_state
from hiveminddb.store.database import Database
from hiveminddb.store.index import Index
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile
from hiveminddb.sync.clock import Clock
from hiveminddb.vault import files
from hiveminddb.vault.files import digest_of
from hiveminddb.vault.topics import Topics
from hiveminddb.vault.vault import Vault
from tests.daemon.interleaved import Interrupted

pytestmark = pytest.mark.anyio

DAY = "## 2026-01-0{} 10:00:00 UTC\n\n{}\n\n"
BAKING, SAILING = DAY.format(1, "how bread is baked at home"), DAY.format(2, "which wind carries a boat out to sea")


@dataclass
class Desk:
    """A mirror that works on what it is told to, its vault and its database."""

    mirror: Mirror
    vault: Path
    database: Database
    pipeline: Pipeline

    async def two_notes(self) -> tuple[list[str], list[str]]:
        """A note in a.md and one in b.md, settled: the ids of their memories."""
        (self.vault / "a.md").write_text(BAKING)
        (self.vault / "b.md").write_text(SAILING)
        await self.settle("a", "b")
        return await self.ids("a"), await self.ids("b")

    async def settle(self, *topics: str) -> None:
        await self.mirror._settle(topics)

    def begun(self, tx: Transaction, topic: str, text: str) -> None:
        """As it is when a file is about to be made."""
        tx.drop_vault_file(topic)
        tx.mark("mirror", topic, tx.counters.n)
        self.unrecorded(tx, topic, text)

    def unrecorded(self, tx: Transaction, topic: str, text: str) -> None:
        """As it is when a known file is about to get that text."""
        tx.put_vault_base(VaultBase(topic, tx.counters.n, tx.counters.n, "mirror", digest_of(text)), 64)

    def going(self, tx: Transaction, topic: str) -> None:
        """As it is when a file is about to be removed."""
        tx.put_vault_base(VaultBase(topic, tx.counters.n, tx.counters.n, "mirror", NO_TEXT), 64)

    async def say(self, id: str, text: str) -> None:
        """Another text from elsewhere."""

        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            self.pipeline.edit(tx, row, "update", Author("api"), text=text)

        await self.database.write(change)

    async def move(self, id: str, topic: str) -> None:
        """Another topic from elsewhere."""

        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            self.pipeline.edit(tx, row, "move", Author("api"), fields={"topic": topic})

        await self.database.write(change)

    async def text(self, topic: str) -> str:
        rows = await self.database.read(lambda db: memories.entries_of(db, topic))
        return "".join(row.text for row in rows)

    async def ids(self, topic: str) -> list[str]:
        return [row.id for row in await self.database.read(lambda db: memories.entries_of(db, topic))]


def move(old: Path, new: Path) -> None:
    if old.exists() and not new.exists():
        old.rename(new)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    (folder / "vault").mkdir()
    async with Database(folder / "hivemind.db") as database:
        tails, topics, vault = Tails(), Topics(), Vault(folder / "vault")
        index = await database.read(Index.load)
        pipeline = Pipeline(NodeId("node"), Clock(), Commits(IndexInUse(index, ""), tails))
        vault.scan([])
        mirror = Mirror(database, Settler(pipeline, topics, tails), tails, vault, Bell())
        yield Desk(mirror, folder / "vault", database, pipeline)
        mirror._io.shutdown()


async def test_a_file_is_looked_at_together_with_what_has_its_former_name(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "b.md").rename(it.vault / "c.md")
        (it.vault / "a.md").rename(it.vault / "b.md")
        with (it.vault / "b.md").open("a") as file:
            file.write("and at the mill\n")
        await it.settle("c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, sailing)
        assert await it.text("b") == BAKING + "and at the mill\n"


async def test_a_file_that_gets_the_name_that_the_mirror_was_about_to_make_keeps_its_memories(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        await it.move(baking[0], "c")
        it.mirror._hands = Interrupted(it.mirror._vault.swap, lambda: move(it.vault / "b.md", it.vault / "c.md"))
        await it.settle("a", "c")
        await it.settle("b", "c")
        await it.settle("b", "c")
        assert (await it.ids("b"), {*await it.ids("c")}) == ([], {*baking, *sailing})
        assert (it.vault / "c.md").read_text() in (BAKING + SAILING, SAILING + BAKING)


async def test_a_file_renamed_while_the_mirror_was_about_to_remove_it_is_the_same_file(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING + SAILING)
        await it.settle("a")
        ids = await it.ids("a")
        await it.say(ids[0], BAKING.replace("home", "home and abroad"))
        for id in ids:
            await it.move(id, "b")
        it.mirror._hands = Interrupted(it.mirror._vault.swap, lambda: move(it.vault / "a.md", it.vault / "c.md"))
        await it.settle("a")
        await it.settle("a", "b", "c")
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], ids, [])
        assert (it.vault / "b.md").read_text() == BAKING.replace("home", "home and abroad") + SAILING


async def test_a_file_put_in_the_place_of_another_keeps_its_memories_and_ends_those(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "a.md").replace(it.vault / "b.md")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == (baking, sailing)
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == ([], baking)
        assert (it.vault / "b.md").read_text() == BAKING


async def test_a_chain_of_renames_of_which_the_first_is_seen_last_is_one(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "b.md").rename(it.vault / "c.md")
        (it.vault / "a.md").rename(it.vault / "b.md")
        await it.settle("a", "b")
        await it.settle("c")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, sailing)


async def test_what_was_put_in_the_place_of_a_file_that_nobody_can_read_now_is_gone_in_the_end(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        _, sailing = await it.two_notes()
        (it.vault / "a.md").replace(it.vault / "b.md")
        await it.settle("a", "b")
        it.mirror._renaming._since["a"] -= 10 * PATIENCE
        await it.settle("a")
        assert (await it.ids("a"), await it.ids("b")) == ([], sailing)
        assert not it.mirror._renaming.waiting


async def test_who_waits_for_what_was_in_its_place_is_looked_at_together_with_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, _ = await it.two_notes()
        (it.vault / "a.md").replace(it.vault / "b.md")
        await it.settle("a", "b")
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a")
        assert await it.ids("a") == baking
        await it.settle("b", "a")
        assert await it.ids("b") == baking


async def test_a_file_that_moved_on_is_found_by_what_it_said_whatever_others_have_in_its_place(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        texts = {
            "a": "how bread is baked at home, in an oven that was heated for an hour\n",
            "b": "which wind carries a boat to sea\n",
            "c": "who sings in the morning\n",
        }
        for topic, text in texts.items():
            (it.vault / f"{topic}.md").write_text(text)
        await it.settle(*texts)
        known = [id for topic in texts for id in await it.ids(topic)]
        for topic, to in (("a", "z"), ("c", "a")):
            for id in await it.ids(topic):
                await it.move(id, to)
        (it.vault / "n.md").write_text(texts["a"].replace("home", "home, and at the mill"))
        (it.vault / "b.md").replace(it.vault / "a.md")
        for _ in range(3):
            await it.settle("a", "b", "c", "n", "z")
        found = [id for topic in ("a", "b", "c", "n", "z") for id in await it.ids(topic)]
        assert sorted(found) == sorted(known)
        assert (it.vault / "z.md").read_text() == texts["a"].replace("home", "home, and at the mill")


async def test_a_file_that_the_mirror_has_made_unrecorded_is_found_where_it_moved_on_to(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        bread = "how bread is baked at home, in an oven that was heated for an hour\n"
        (it.vault / "old.md").write_text(bread)
        (it.vault / "a.md").write_text("which wind carries a boat to sea\n")
        await it.settle("old", "a")
        (baking,), (sailing,) = await it.ids("old"), await it.ids("a")
        grown = bread + "and who eats it in the morning, and who in the evening when all have come home\n"
        await it.say(baking, grown)
        await it.move(baking, "b")
        # As a kill leaves it that comes after old.md was removed and b.md was made, and before both are recorded.
        await it.database.write(lambda tx: it.going(tx, "old"))
        await it.database.write(lambda tx: it.begun(tx, "b", grown))
        (it.vault / "old.md").unlink()
        (it.vault / "c.md").write_text(grown.replace("oven", "stone oven"))
        (it.vault / "a.md").rename(it.vault / "b.md")
        for _ in range(3):
            await it.settle("old", "a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], [sailing], [baking])
        assert (it.vault / "c.md").read_text() == grown.replace("oven", "stone oven")


async def test_a_file_saved_while_the_mirror_used_its_name_takes_nothing_away(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        baking = await it.ids("a")
        await it.move(baking[0], "b")
        await it.settle("a", "b")
        # An editor had just taken its own file of that name away, and the mirror did not know of it yet.
        (it.vault / "b.md").write_text("a note\n")
        await it.settle("b")
        assert baking[0] in await it.ids("b") and len(await it.ids("b")) == 2


def test_a_file_waits_for_what_has_its_former_name_while_that_is_written(tmp_path: Path) -> None:
    known = {"b": VaultFile("b", 1, 1, 1, 1, 7, "")}
    (tmp_path / "c.md").write_text(SAILING)
    file = files.read(tmp_path, "c.md")
    assert file is not None
    known["b"] = VaultFile("b", 1, file.stat.size, 1, 1, file.stat.inode, file.digest)
    looks = Looks([Look("c", file), Look("d")], ["b"])
    looks.wait_together(known)
    assert (looks.ready, looks.busy) == ([Look("d")], ["b", "c"])


async def test_a_file_renamed_before_the_mirror_had_recorded_making_it_is_the_same_file(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        baking = await it.ids("a")
        # As a kill between the making of the file and its being recorded leaves it.
        await it.database.write(lambda tx: it.begun(tx, "a", BAKING))
        (it.vault / "a.md").rename(it.vault / "b.md")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == ([], baking)


async def test_a_file_saved_from_a_stale_buffer_and_renamed_at_once_is_the_same_file(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text("how bread is baked at home\n")
        await it.settle("a")
        ids = await it.ids("a")
        await it.say(ids[0], "which wind carries a boat out to sea\n")
        await it.settle("a")
        (it.vault / "a.md").unlink()
        (it.vault / "b.md").write_text("how bread is baked at home\nand eaten\n")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == ([], ids)
        text = (it.vault / "b.md").read_text()
        assert "a boat out to sea" in text and "and eaten" in text


async def test_a_file_renamed_and_replaced_while_another_got_its_name_is_the_same_file(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = "how bread is baked at home\n" * 3, "which wind carries a boat out to sea\n" * 3
        (it.vault / "a.md").write_text(baking)
        (it.vault / "b.md").write_text(sailing)
        await it.settle("a", "b")
        baker, sailor = await it.ids("a"), await it.ids("b")
        # Made first, it has a number of its own on the disk.
        (it.vault / "c.md").write_text(sailing + "and home again\n")
        (it.vault / "b.md").unlink()
        (it.vault / "a.md").rename(it.vault / "b.md")
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baker, sailor)


async def test_a_file_is_not_gone_while_somebody_writes_what_may_be_its_new_name(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        baking = await it.ids("a")
        (it.vault / "a.md").rename(it.vault / "b.md")
        with (it.vault / "b.md").open("a") as file:
            await it.settle("a", "b")
            assert it.mirror._renaming.waiting == {"a"}
            it.mirror._renaming._since["a"] -= PATIENCE
            await it.settle("a", "b")
            file.write("and eaten\n")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == ([], baking)


async def test_a_file_whose_making_was_begun_and_never_done_is_made(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        await it.database.write(lambda tx: it.begun(tx, "a", BAKING))
        (it.vault / "a.md").unlink()
        await it.settle("a")
        assert it.mirror._renaming.waiting == {"a"}
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a")
        assert (it.vault / "a.md").read_text() == BAKING


async def test_a_file_that_the_mirror_has_made_is_not_taken_for_another_that_was_renamed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        baking, made = await it.ids("a"), BAKING.replace("at home", "in a bakery")
        # A kill came between the making of the file and its being recorded; its inode was that of a file just removed.
        (it.vault / "a.md").rename(it.vault / "b.md")
        (it.vault / "b.md").write_text(made)
        await it.database.write(lambda tx: it.begun(tx, "b", made))
        await it.settle("a", "b")
        assert await it.ids("b") != baking
        assert it.mirror._renaming.waiting == {"a"}


async def test_who_goes_on_with_a_file_that_the_mirror_has_made_has_not_renamed_the_one_it_was_before(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text("how bread is baked at home\n")
        await it.settle("a")
        ids = await it.ids("a")
        made = "how bread is baked at home\n\nwhich wind carries a boat out to sea\n"
        await it.say(ids[0], made)
        await it.move(ids[0], "b")
        # A kill came after the mirror had made the one file and removed the other, before either was recorded.
        await it.database.write(lambda tx: it.begun(tx, "b", made))
        await it.database.write(lambda tx: it.going(tx, "a"))
        (it.vault / "a.md").unlink()
        (it.vault / "b.md").write_text(made + "\nand home again\n")
        await it.settle("a", "b")
        assert await it.ids("b") == ids
        assert (it.vault / "b.md").read_text() == made + "\nand home again\n"


async def test_what_was_made_and_not_recorded_is_missed_at_a_start_before_new_files_are_taken_in(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        baking = await it.ids("a")
        # As a kill between the making of the file and its being recorded leaves it.
        await it.database.write(lambda tx: it.begun(tx, "a", BAKING))
        (it.vault / "a.md").rename(it.vault / "b.md")
        await it.mirror._scan()
        with it.mirror._agenda.taken(100, 0.0) as topics:
            await it.settle(*topics)
        assert (await it.ids("a"), await it.ids("b")) == ([], baking)


async def test_a_folder_renamed_before_what_was_written_in_it_was_recorded_is_the_same_folder(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        names = [f"note {number}" for number in range(30)]
        (it.vault / "old").mkdir()
        for name in names:
            (it.vault / "old" / f"{name}.md").write_text(f"{name} says how bread is baked\n")
        await it.settle(*(f"old/{name}" for name in names))
        known = {name: await it.ids(f"old/{name}") for name in names}
        for name in names:
            text = f"a boat goes out to sea, says {name}\n"
            await it.say(known[name][0], text)
            # As a kill leaves it that comes after the file was written and before that is recorded.
            await it.database.write(lambda tx, name=name, text=text: it.unrecorded(tx, f"old/{name}", text))  # type: ignore[misc]
            (it.vault / "written.md").write_text(text)
            (it.vault / "written.md").replace(it.vault / "old" / f"{name}.md")
        (it.vault / "old").rename(it.vault / "new")
        await it.settle(*(f"{folder}/{name}" for folder in ("old", "new") for name in names))
        assert {name: await it.ids(f"new/{name}") for name in names} == known


def test_what_a_round_that_broke_off_was_about_is_due_again() -> None:
    agenda = Agenda()
    agenda.add(["a", "b"])
    with pytest.raises(OSError), agenda.taken(1, 0.0):
        raise OSError
    with agenda.taken(10, 0.0) as topics:
        assert sorted(topics) == ["a", "b"]
    assert "a" not in agenda


async def test_what_is_being_written_when_the_mirror_stops_is_recorded(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        (baking,) = await it.ids("a")
        began, go_on = threading.Event(), threading.Event()

        class Slow(FileWork):
            def write(self, todos: Sequence[Todo]) -> tuple[list[Outcome], list[Todo]]:
                began.set()
                go_on.wait()
                return super().write(todos)

        async with it.mirror as mirror:
            await it.say(baking, SAILING)
            mirror._hands = Slow(mirror._vault.swap)
            mirror._bell.ring()
            await asyncio.to_thread(began.wait)
            threading.Timer(0.05, go_on.set).start()
        assert (it.vault / "a.md").read_text() == SAILING
        known = await it.database.read(lambda db: vault_state.vault_file(db, "a"))
        assert known is not None and known.digest == digest_of(SAILING)


def meeting(number: int, season: str = "spring") -> str:
    return f"# Meeting {number}\n\nWe met person{number} at the mill, and agreed to meet in {season} {number + 7}.\n"


async def meetings(it: Desk, folder: str) -> dict[int, list[str]]:
    """Sixty notes that say nearly the same, settled: the ids of the memories of each."""
    (it.vault / folder).mkdir()
    for number in range(60):
        (it.vault / folder / f"{number}.md").write_text(meeting(number))
    await it.settle(*(f"{folder}/{number}" for number in range(60)))
    return {number: await it.ids(f"{folder}/{number}") for number in range(60)}


def replaced_one_by_one(folder: Path, text: Callable[[int], str]) -> None:
    """As `sed -i` does: each file gets the number on the disk that the one before it had."""
    found = files.read(folder.parent, f"{folder.name}/0.md")
    if found is None or not found.born_ns:
        pytest.skip("this file system does not tell when a file came to be")
    for number in range(60):
        (folder / "new").write_text(text(number))
        (folder / "new").replace(folder / f"{number}.md")


async def test_files_that_got_each_others_numbers_and_a_new_folder_are_the_same_files(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        known = await meetings(it, "old")
        (it.vault / "old").rename(it.vault / "new")
        replaced_one_by_one(it.vault / "new", lambda number: meeting(number, "autumn"))
        await it.settle(*(f"{folder}/{number}" for folder in ("old", "new") for number in range(60)))
        assert {number: await it.ids(f"new/{number}") for number in range(60)} == known


async def test_files_that_got_each_others_numbers_when_one_was_new_are_the_same_files(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        known = await meetings(it, "notes")
        replaced_one_by_one(it.vault / "notes", lambda number: meeting(number, "autumn"))
        (it.vault / "notes" / "60.md").write_text(meeting(60))
        await it.settle(*(f"notes/{number}" for number in range(61)))
        assert {number: await it.ids(f"notes/{number}") for number in range(60)} == known

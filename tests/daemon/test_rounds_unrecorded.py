"""What the mirror was killed over before it could record it, found by the next round."""

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.mirror.renaming import PATIENCE
from tests.daemon.desk import BAKING, SAILING, desk

pytestmark = pytest.mark.anyio


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


async def test_what_was_never_written_is_missing_from_no_new_file_that_says_a_part_of_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        bread = BAKING + "in an oven of stone that was heated with beech for an hour, while all the others slept\n"
        (it.vault / "a.md").write_text(bread + SAILING)
        await it.settle("a")
        for id in await it.ids("a"):
            await it.move(id, "page")
        await it.settle("a")
        # As a kill leaves it that comes before the file is made.
        await it.database.write(lambda tx: it.begun(tx, "page", bread + SAILING))
        (it.vault / "new.md").write_text(bread + "and at the mill, by the brook\n")
        await it.settle("page", "new")
        it.mirror._renaming._since["page"] -= PATIENCE
        await it.settle("page", "new")
        texts = await it.text("page") + await it.text("new")
        assert SAILING in texts and "and at the mill" in texts


async def test_a_stale_buffer_saved_over_what_was_made_and_not_recorded_doubles_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        bread = BAKING + "in an oven of stone that was heated with beech for an hour, while all the others slept\n"
        (it.vault / "a.md").write_text(bread)
        await it.settle("a")
        baking = await it.ids("a")
        (it.vault / "b.md").write_text(SAILING)
        await it.settle("b")
        (it.vault / "a.md").unlink()
        await it.settle("a")
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a")
        await it.bring_back(baking[0])
        for id in await it.ids("b"):
            await it.move(id, "a")
        await it.settle("b")
        # As a kill leaves it that comes after the file was made again, before that is recorded.
        await it.database.write(lambda tx: it.begun(tx, "a", bread + SAILING))
        (it.vault / "a.md").write_text(bread + "and eaten\n")
        await it.settle("a")
        assert baking[0] in await it.ids("a")
        assert (await it.text("a")).count("how bread is baked") == 1

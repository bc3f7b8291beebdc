"""Files that have other names than in the round before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hiveminddb.daemon.mirror.filework import FileWork
from hiveminddb.daemon.mirror.renaming import PATIENCE, Rename, Renaming
from hiveminddb.daemon.mirror.settling import Look
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultFile, vault_files
from hiveminddb.vault import files
from tests.daemon.desk import BAKING, SAILING, Desk, desk, move
from tests.daemon.interleaved import Interrupted

pytestmark = pytest.mark.anyio


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


async def test_a_file_whose_new_name_nobody_has_told_in_time_is_looked_for(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, _ = await it.two_notes()
        (it.vault / "a.md").rename(it.vault / "c.md")
        await it.settle("a")
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a")
        assert (await it.ids("a"), await it.ids("c")) == ([], baking)


async def test_a_file_whose_time_runs_out_during_a_round_is_looked_for_before_it_counts_as_removed(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        baking, _ = await it.two_notes()
        (it.vault / "a.md").rename(it.vault / "c.md")
        await it.settle("a")
        renaming = it.mirror._renaming

        def later() -> None:
            renaming._since = {topic: at - PATIENCE for topic, at in renaming._since.items()}

        it.mirror._hands = Interrupted(it.mirror._vault.swap, later)
        await it.settle("a")
        await it.settle("a")
        assert (await it.ids("a"), await it.ids("c")) == ([], baking)


async def test_a_chain_of_renames_of_which_the_first_is_seen_last_is_one(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "b.md").rename(it.vault / "c.md")
        (it.vault / "a.md").rename(it.vault / "b.md")
        await it.settle("a", "b")
        await it.settle("c")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, sailing)


async def test_a_chain_of_renames_onto_known_names_keeps_all_memories_but_those_of_the_last(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "c.md").write_text("who sings in the morning, and who at night\n" * 3)
        await it.settle("c")
        (it.vault / "b.md").replace(it.vault / "c.md")
        (it.vault / "a.md").replace(it.vault / "b.md")
        await it.settle("a", "b", "c")
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, sailing)
        assert ((it.vault / "b.md").read_text(), (it.vault / "c.md").read_text()) == (BAKING, SAILING)


async def test_files_that_a_program_rotates_keep_their_memories(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "b.md").rename(it.vault / "c.md")
        (it.vault / "a.md").rename(it.vault / "b.md")
        (it.vault / "a.md").write_text("who sings in the morning, and who at night\n" * 3)
        await it.settle("a", "b", "c")
        (singing,) = await it.ids("a")
        assert (await it.ids("b"), await it.ids("c")) == (baking, sailing)
        # From now on all of the names are known.
        (it.vault / "b.md").replace(it.vault / "c.md")
        (it.vault / "a.md").replace(it.vault / "b.md")
        (it.vault / "a.md").write_text("1234567890 " * 9)
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b")) == ([singing], baking)
        it.mirror._renaming._displaced["a"] -= PATIENCE
        await it.settle("a", "b", "c")
        assert (await it.ids("b"), await it.ids("c")) == ([singing], baking)
        assert await it.ids("a") not in ([singing], baking, sailing)
        assert (it.vault / "c.md").read_text() == BAKING


async def test_what_was_put_in_the_place_of_a_file_that_nobody_can_read_now_is_gone_in_the_end(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        _, sailing = await it.two_notes()
        (it.vault / "a.md").replace(it.vault / "b.md")
        await it.settle("a", "b")
        (it.vault / "b.md").write_bytes(b"\xff")
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
        assert (await it.ids("a"), await it.ids("b")) == ([], baking)


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


async def test_others_write_while_a_folder_is_renamed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        known = await meetings(it, "old")
        (it.vault / "old").rename(it.vault / "new")
        found = set[int]()

        async def write() -> None:
            while True:
                await it.database.write(lambda tx: found.add(sum(bool(tx.entries_of(f"new/{i}")) for i in range(60))))

        writing = asyncio.create_task(write())
        await it.settle(*(f"{folder}/{number}" for folder in ("old", "new") for number in range(60)))
        writing.cancel()
        assert {number: await it.ids(f"new/{number}") for number in range(60)} == known
        assert found & {*range(1, 60)}, f"nobody got in between: {found}"


class CutOff(Renaming):
    """Dies before the fourth group."""

    done = 0

    def carry_out(self, renames: Sequence[Rename], tx: Transaction) -> set[str]:
        self.done += 1
        if self.done == 4:
            raise KeyboardInterrupt
        return super().carry_out(renames, tx)


async def test_a_folder_of_which_some_files_are_renamed_before_a_kill_keeps_all_memories(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        known = await meetings(it, "old")
        # Two files exchange their names, which is done together or not at all.
        (it.vault / "old").rename(it.vault / "new")
        (it.vault / "new" / "8.md").rename(it.vault / "old.md")
        (it.vault / "new" / "9.md").rename(it.vault / "new" / "8.md")
        (it.vault / "old.md").rename(it.vault / "new" / "9.md")
        known[8], known[9] = known[9], known[8]
        topics = [f"{folder}/{number}" for folder in ("old", "new") for number in range(60)]
        died, it.mirror._renaming = it.mirror._renaming, CutOff(it.mirror._settler)
        with pytest.raises(KeyboardInterrupt):
            await it.settle(*topics)
        it.mirror._renaming = Renaming(died._settler)
        await it.settle(*topics)
        assert {number: await it.ids(f"new/{number}") for number in range(60)} == known


async def test_names_exchanged_and_a_chain_are_groups_of_their_own(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await meetings(it, "old")
        folder = it.vault / "old"
        for old, new in (("1", "x"), ("2", "1"), ("x", "2"), ("3", "y"), ("4", "3"), ("5", "4"), ("6", "z")):
            (folder / f"{old}.md").rename(folder / f"{new}.md")
        topics = [f"old/{name}" for name in (*range(60), "y", "z")]
        known = {file.topic: file for file in await it.database.read(vault_files)}
        looks = it.mirror._hands.look(topics, known, 1 << 20)
        groups = await it.database.write(lambda tx: it.mirror._renaming.renames(looks.ready, tx))
        names = [[(old.removeprefix("old/"), new.removeprefix("old/")) for old, new, _ in group] for group in groups]
        assert [("5", "4"), ("4", "3"), ("3", "y")] in names
        assert [("6", "z")] in names
        assert [{*group} for group in names if len(group) == 2] == [{("1", "2"), ("2", "1")}]
        assert len(names) == 3


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


async def test_a_file_with_the_number_of_an_older_one_is_looked_at_alone(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await meetings(it, "notes")
        replaced_one_by_one(it.vault / "notes", lambda number: meeting(number, "autumn"))
        await it.settle("notes/5")
        seen = [number for number in range(60) if "autumn" in await it.text(f"notes/{number}")]
        assert seen == [5]


async def test_a_new_file_renamed_before_it_got_what_others_wrote_is_the_same_file(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        _, sailing = await it.two_notes()
        await _moved_just_before_the_write(it, "c", "d", BAKING.replace("home", "sea"), sailing)
        assert await it.ids("c") == []
        assert (await it.text("d")).count("at sea") == 1 and set(sailing) < set(await it.ids("d"))


async def test_a_file_replaced_and_renamed_before_it_got_what_others_wrote_is_the_same_file(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "a.md").unlink()
        await _moved_just_before_the_write(it, "a", "d", BAKING.replace("home", "sea"), sailing)
        assert await it.ids("a") == []
        assert {*baking, *sailing} == set(await it.ids("d"))


async def _moved_just_before_the_write(it: Desk, old: str, new: str, text: str, others: Sequence[str]) -> None:
    """A file is saved, and renamed after it was read and before what others have under its name was written to it."""
    for id in others:
        await it.move(id, old)
    (it.vault / f"{old}.md").write_text(text)
    there, then = it.vault / f"{old}.md", it.vault / f"{new}.md"
    it.mirror._hands = Interrupted(it.mirror._vault.swap, lambda: move(there, then))
    await it.settle(old)
    await it.settle(old, new)


async def test_a_file_with_the_name_of_one_that_was_begun_is_no_edit_of_it_where_another_has_its_own(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        await it.database.write(lambda tx: it.begun(tx, "c", BAKING.replace("bread is baked", "the cake is made")))
        (it.vault / "a.md").rename(it.vault / "c.md")
        (it.vault / "b.md").rename(it.vault / "a.md")
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == (sailing, [], baking)


async def test_a_chain_of_renames_goes_on_behind_a_file_that_was_saved_by_replacing_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        for topic, text in {
            "a": "how bread is baked\n",
            "b": "which wind blows\n",
            "c": "who sings at night\n",
        }.items():
            (it.vault / f"{topic}.md").write_text(text * 5)
        await it.settle("a", "b", "c")
        baking, sailing, singing = [await it.ids(topic) for topic in "abc"]
        (it.vault / "c.md").rename(it.vault / "d.md")
        (it.vault / "c.md").write_text((it.vault / "a.md").read_text() + "and eaten\n")
        (it.vault / "b.md").replace(it.vault / "a.md")
        await it.settle("a", "b", "c", "d")
        assert [await it.ids(topic) for topic in "abcd"] == [sailing, [], baking, singing]


async def test_a_file_that_somebody_writes_to_under_the_name_of_another_is_not_removed_meanwhile(
    tmp_path: Path,
) -> None:
    class Busy(FileWork):
        def _look(self, topic: str, known: VaultFile | None) -> Look | None:
            return None if topic == "b" else super()._look(topic, known)

    async with desk(tmp_path) as it:
        baking, _ = await it.two_notes()
        (it.vault / "a.md").replace(it.vault / "b.md")
        (it.vault / "b.md").write_text(BAKING.replace("home", "home, slowly"))
        await it.settle("a")
        it.mirror._renaming._since["a"] -= PATIENCE
        hands, it.mirror._hands = it.mirror._hands, Busy(it.mirror._vault.swap)
        await it.settle("a")
        it.mirror._hands = hands
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == ([], baking)


async def test_files_that_exchange_their_names_keep_their_memories(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "a.md").rename(it.vault / "c.md")
        (it.vault / "b.md").rename(it.vault / "a.md")
        (it.vault / "c.md").rename(it.vault / "b.md")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b")) == (sailing, baking)
        assert ((it.vault / "a.md").read_text(), (it.vault / "b.md").read_text()) == (SAILING, BAKING)


async def test_names_passed_round_among_three_files_with_a_fourth_on_its_way_out(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        for topic, text in {"c": "who sings at night\n" * 5, "d": "which train is late\n" * 5}.items():
            (it.vault / f"{topic}.md").write_text(text)
        await it.settle("c", "d")
        singing, late = await it.ids("c"), await it.ids("d")
        for old, new in [("d", "e"), ("c", "t"), ("b", "c"), ("a", "b"), ("t", "a")]:
            (it.vault / f"{old}.md").rename(it.vault / f"{new}.md")
        with (it.vault / "b.md").open("a") as file:
            file.write("and eaten\n")
        await it.settle("a", "b", "c", "d", "e")
        assert [await it.ids(topic) for topic in "abcde"] == [singing, baking, sailing, [], late]


async def test_a_file_in_whose_place_another_was_put_is_looked_for_before_it_counts_as_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        (it.vault / "b.md").rename(it.vault / "c.md")
        (it.vault / "c.md").write_text(SAILING.replace("out to sea", "over the lake"))
        (it.vault / "a.md").rename(it.vault / "b.md")
        # Nobody has told of c yet.
        await it.settle("a", "b")
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, sailing)


SINGING = "who sings in the morning, and who at night\n" * 3


async def test_a_file_put_in_the_place_of_another_whose_likeness_was_renamed_ends_that(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        texts = {"a": BAKING, "b": "1234567890 " * 9, "c": SINGING, "d": SINGING + "and who at noon\n"}
        for topic, text in texts.items():
            (it.vault / f"{topic}.md").write_text(text)
            await it.settle(topic)
        first, second, _, fourth = [await it.ids(topic) for topic in "abcd"]
        for old, new in ("de", "bc", "ab"):
            (it.vault / f"{old}.md").replace(it.vault / f"{new}.md")
        await it.settle(*"abcde")
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle(*"abcde")
        assert [await it.ids(topic) for topic in "abcde"] == [[], first, second, [], fourth]
        assert (it.vault / "c.md").read_text() == texts["b"]


async def test_a_new_file_waits_while_somebody_writes_where_it_may_have_been(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, singing = await it.two_notes(SINGING)
        (it.vault / "c.md").write_text(SINGING + "and who at noon\n")
        (it.vault / "a.md").replace(it.vault / "b.md")
        with (it.vault / "b.md").open("a") as file:
            await it.settle("a", "b", "c")
            file.write("and eaten\n")
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, singing)


async def test_a_file_saved_by_replacing_it_is_found_after_what_was_put_in_its_place(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, singing = await it.two_notes(SINGING)
        (it.vault / "a.md").replace(it.vault / "b.md")
        await it.settle("a", "b")
        (it.vault / "c.md").write_text(SINGING + "and who at noon\n")
        await it.settle("c")
        await it.settle("a", "b")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, singing)

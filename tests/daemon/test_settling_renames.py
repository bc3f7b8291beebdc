"""A file that gets another name while it lacks what others wrote."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.mirror.renaming import Renaming
from hiveminddb.daemon.mirror.settling import Look
from hiveminddb.daemon.projection import ENTRY
from hiveminddb.daemon.retiring import revive
from hiveminddb.store import outbox
from hiveminddb.store.transaction import Transaction
from hiveminddb.vault.files import FileText, Stat, digest_of
from tests.daemon.paper import Paper
from tests.daemon.test_settling import FILE, paper

pytestmark = pytest.mark.anyio


async def entries(it: Paper) -> list[str]:
    return [row.content for row in await it.living() if row.role == ENTRY]


async def test_what_a_file_had_not_got_before_it_was_renamed_comes_under_its_new_name(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("from elsewhere")
        await it.rename("plan")
        assert await entries(it) == ["first", "second", "from elsewhere"]
        assert it.text and "from elsewhere" in it.text


async def test_an_edit_that_a_renamed_file_had_not_got_is_not_reverted(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        second = next(row for row in await it.living() if row.content == "second")
        await it.edit_unseen(second.id, "second, and more")
        await it.rename("plan")
        assert await entries(it) == ["first", "second, and more"]


async def test_a_stale_buffer_after_a_rename_and_a_write_that_a_kill_cut_off_reverts_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        second = next(row for row in await it.living() if row.content == "second")
        await it.edit_unseen(second.id, "second\nand what others wrote")
        await it.rename("plan", crash=True)
        assert it.text and "others wrote" in it.text
        await it.save(it.text)
        await it.save(FILE.replace("first", "FIRST"))
        assert await entries(it) == ["FIRST", "second\nand what others wrote"]


async def test_a_memory_forgotten_before_its_file_was_renamed_does_not_come_back(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        second = next(row for row in await it.living() if row.content == "second")
        await it.forget_unseen(second.id)
        await it.rename("plan")
        assert await entries(it) == ["first"]
        assert it.text and "second" not in it.text


async def test_a_file_renamed_twice_and_edited_lacks_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add("known to the file")
        text = it.text
        assert text
        await it.add_unseen("from elsewhere")
        file = FileText(text, digest_of(text), Stat(1, 1, 1, 1))
        await it.write(lambda tx: it.settler.renamed(tx, ("notes", "between", file)))
        it.topic = "between"
        await it.add_unseen("from elsewhere again")
        await it.rename("plan", text.replace("first", "FIRST") + "## 2026-03-03 10:00\n\nby hand\n")
        assert sorted(await entries(it)) == [
            "FIRST", "by hand", "from elsewhere", "from elsewhere again", "known to the file", "second",
        ]  # fmt: skip
        await it.save((it.text or "").replace("second", "SECOND"))
        assert sorted(await entries(it)) == [
            "FIRST", "SECOND", "by hand", "from elsewhere", "from elsewhere again", "known to the file",
        ]  # fmt: skip


async def test_a_buffer_from_before_a_rename_saved_under_the_new_name_reverts_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("from elsewhere")
        await it.rename("plan")
        await it.save(FILE.replace("first", "FIRST"))
        assert await entries(it) == ["FIRST", "second", "from elsewhere"]
        await it.save((it.text or "").replace("from elsewhere", "from ELSEWHERE"))
        assert await entries(it) == ["FIRST", "second", "from ELSEWHERE"]


async def test_a_write_that_was_not_recorded_before_the_file_was_renamed_is_not_taken_in_twice(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        second = next(row for row in await it.living() if row.content == "second")
        await it.edit_unseen(second.id, "second, and more")
        await it.save(FILE, crash=True)
        assert it.text and "and more" in it.text
        await it.add_unseen("from elsewhere")
        await it.rename("plan")
        assert await entries(it) == ["first", "second, and more", "from elsewhere"]


async def test_a_save_that_was_taken_in_before_the_file_was_renamed_is_not_taken_in_twice(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("from elsewhere")
        saved = FILE.replace("first\n", "first\nby hand\n")
        await it.save_and_move_on(saved, "from elsewhere")
        await it.rename("plan", saved)
        assert await entries(it) == ["first\nby hand", "second", "from elsewhere"]


async def test_a_save_without_what_others_wrote_takes_nothing_from_them_by_two_renames_in_a_row(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add("from elsewhere")
        saved = FILE.replace("first\n", "first\nby hand\n")
        file = await it.save_and_move_on(saved, "from elsewhere")
        await it.write(lambda tx: it.settler.renamed(tx, ("notes", "between", file)))
        it.topic = "between"
        await it.rename("plan", saved + "## 2026-03-03 10:00\n\nby hand\n")
        assert await entries(it) == ["first\nby hand", "second", "from elsewhere", "by hand"]


async def test_what_is_new_in_a_file_renamed_twice_is_not_taken_in_twice(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("from elsewhere")
        saved = FILE + "## 2026-03-03 10:00\n\nby hand\n"
        file = FileText(saved, digest_of(saved), Stat(len(saved.encode()), 99, 0, 1))
        await it.write(lambda tx: it.settler.renamed(tx, ("notes", "between", file)))
        it.topic = "between"
        await it.save_and_move_on(saved, "from elsewhere")
        new = next(row for row in await it.living() if row.content == "by hand")
        await it.edit_unseen(new.id, "by hand, and more")
        await it.rename("plan", saved.replace("first", "FIRST"))
        assert sorted(await entries(it)) == ["FIRST", "by hand, and more", "from elsewhere", "second"]


async def test_a_stale_save_that_is_renamed_before_the_mirror_comes_reverts_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("buy milk\n")
        (row,) = await it.living()
        await it.write_text_unseen(row.id, "buy milk\n\nring the plumber about the tap\n")
        await it.come_round()
        await it.rename("plan", "buy milk today\nfeed the neighbour's cat\n")
        assert it.text and {"buy milk today", "ring the plumber about the tap", "feed the neighbour's cat"} <= set(
            it.text.splitlines()
        )


async def moved_by_others(it: Paper, topic: str) -> None:
    """Another node has renamed the file, and the mirror comes round."""
    await it.move_unseen(topic)
    await it.come_round()
    assert it.text is None


async def test_a_file_renamed_after_others_moved_its_memories_goes_also_if_the_daemon_dies_in_between(
    tmp_path: Path,
) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.move_unseen("archive")
        file = FileText(FILE, digest_of(FILE), Stat(len(FILE), 1, 0, 1))
        await it.write(lambda tx: it.settler.renamed(tx, ("notes", "plan", file)))
        assert "plan" in {mark.key for mark in await it.database.read(lambda db: outbox.pending(db, "mirror", 9))}
        it.topic = "plan"
        await it.come_round()
        assert it.text is None


async def test_a_new_file_with_the_name_of_one_that_others_renamed_is_another_one(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await moved_by_others(it, "archive")
        fresh = "# notes\n\n## 2026-05-05 10:00\n\nsomething else altogether\n"
        await it.save(fresh)
        assert it.text == fresh
        assert await entries(it) == ["something else altogether"]
        it.topic = "archive"
        assert await entries(it) == ["first", "second"]


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_new_file_in_the_place_on_the_disk_of_one_that_others_renamed_is_another_one(
    tmp_path: Path, is_new: bool
) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.move_unseen("archive")
        text = "# other\n\n1234567890 1234567890 1234567890\n" if is_new else FILE
        found = Look("other", FileText(text, digest_of(text), Stat(len(text), 9, 0, 1)))
        renaming, looks = Renaming(it.settler), [Look("notes"), found]
        moved: set[str] = set()
        for renames in await it.write(lambda tx: renaming.renames(looks, tx)):
            moved |= await it.write(partial(renaming.carry_out, renames))
        ready, later = await it.write(lambda tx: renaming.sort_out(looks, tx, moved))
        assert ready == [found]
        # The vanished one is looked at again, unless it has been found.
        assert later == (["notes"] if is_new else [])


async def test_a_short_file_with_the_name_of_one_that_others_renamed_is_another_one(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("the first thing to do\n")
        await moved_by_others(it, "archive")
        await it.save("another day, another list\n")
        assert it.text == "another day, another list\n"
        it.topic = "archive"
        assert "".join(row.text for row in await it.living()) == "the first thing to do\n"


async def test_an_editor_that_still_has_a_file_which_others_renamed_edits_it_where_it_is(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await moved_by_others(it, "archive")
        await it.save(FILE.replace("second", "second, edited") + "## 2026-05-05 10:00\n\nand one more\n")
        assert await entries(it) == ["and one more"]
        it.topic = "archive"
        assert await entries(it) == ["first", "second, edited"]


async def test_a_file_with_the_name_and_text_of_one_that_others_renamed_stays(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await moved_by_others(it, "archive")
        await it.save(FILE)
        assert it.text == FILE


async def test_an_edit_of_a_file_that_others_removed_outlives_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        before = [row.id for row in await it.living()]
        for id in before:
            await it.forget_unseen(id)
        await it.come_round()
        assert it.text is None
        await it.save(FILE.replace("second", "second, edited"))
        assert await entries(it) == ["second, edited"]
        assert [row.id for row in await it.living()] == before[-1:]


@pytest.mark.parametrize("crashes", [1, 3])
async def test_a_removal_that_a_crash_has_cut_off_is_made_up_for(tmp_path: Path, crashes: int) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.move_unseen("archive")
        for _ in range(crashes):
            todo = await it.write(lambda tx: it.settler.settle(tx, Look("notes", unchanged=True)))
            assert todo and not todo.text
            assert await it.database.read(lambda db: outbox.pending_mark(db, "notes"))
        await it.come_round()
        assert it.text is None


async def test_a_file_that_was_removed_before_a_crash_takes_nothing_with_it(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.move_unseen("archive")
        assert await it.write(lambda tx: it.settler.settle(tx, Look("notes", unchanged=True)))
        assert await it.write(lambda tx: it.settler.settle(tx, Look("notes"))) is None
        it.topic = "archive"
        assert await entries(it) == ["first", "second"]


async def test_a_stale_buffer_saved_just_before_a_removed_file_comes_back_is_an_edit_of_it(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        rows = [row.id for row in await it.living()]
        for id in rows:
            await it.forget_unseen(id)
        await it.come_round()
        assert it.text is None

        def restore(tx: Transaction) -> None:
            for id in rows:
                row = tx.memory(id)
                assert row
                revive(tx, it.pipeline, row, Author("api"))

        await it.write(restore)
        todo = await it.write(lambda tx: it.settler.settle(tx, Look("notes")))
        assert todo and todo.text == FILE
        await it.write(lambda tx: it.settler.unwritten(tx, [todo]))
        await it.save(FILE.replace("second", "second, by hand"))
        assert await entries(it) == ["first", "second, by hand"]

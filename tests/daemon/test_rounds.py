"""What the mirror makes of a round of files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hiveminddb.daemon.mirror.agenda import Agenda
from hiveminddb.daemon.mirror.filework import FileWork, Looks, Outcome
from hiveminddb.daemon.mirror.renaming import PATIENCE
from hiveminddb.daemon.mirror.settling import Look, Todo
from hiveminddb.store import vault_state
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.vault import files
from hiveminddb.vault.files import digest_of
from hiveminddb.vault.held import Late
from tests.daemon.desk import BAKING, SAILING, desk, move
from tests.daemon.interleaved import Interrupted

pytestmark = pytest.mark.anyio


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


async def test_a_file_put_where_the_mirror_is_about_to_write_keeps_its_memories(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        baking, sailing = await it.two_notes()
        await it.say(sailing[0], SAILING.replace("boat", "ship"))

        def rename() -> None:
            move(it.vault / "b.md", it.vault / "c.md")
            move(it.vault / "a.md", it.vault / "b.md")

        it.mirror._hands = Interrupted(it.mirror._vault.swap, rename)
        await it.settle("b")
        await it.settle("a", "b", "c")
        await it.settle("a", "b", "c")
        assert (await it.ids("a"), await it.ids("b"), await it.ids("c")) == ([], baking, sailing)
        assert ((it.vault / "b.md").read_text(), await it.text("b")) == (BAKING, BAKING)
        assert (it.vault / "c.md").read_text() == await it.text("c") == SAILING.replace("boat", "ship")


async def test_what_is_written_late_into_a_file_that_has_another_name_now_is_an_edit_of_that(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        ids = await it.ids("a")
        await it.say(ids[0], BAKING.replace("home", "home and abroad"))
        await it.settle("a")
        (it.vault / "a.md").rename(it.vault / "b.md")
        await it.settle("a", "b")
        late = Late("a.md", BAKING + SAILING, digest_of(BAKING), "token")
        # The second time after a kill between its commit and its being let go.
        for _ in range(2):
            await it.database.write(lambda tx: it.mirror._settler.late(tx, late))
        assert await it.ids("a") == [] and (await it.ids("b"))[0] == ids[0]
        assert await it.text("b") == BAKING.replace("home", "home and abroad") + SAILING


def test_a_file_waits_for_what_has_its_former_name_while_that_is_written(tmp_path: Path) -> None:
    known = {"b": VaultFile("b", 1, 1, 1, 1, 7, "")}
    (tmp_path / "c.md").write_text(SAILING)
    file = files.read(tmp_path, "c.md")
    assert file is not None
    known["b"] = VaultFile("b", 1, file.stat.size, 1, 1, file.stat.inode, file.digest)
    looks = Looks([Look("c", file), Look("d")], ["b"])
    looks.wait_together(known)
    assert (looks.ready, looks.busy) == ([Look("d")], ["b", "c"])


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


async def test_a_file_that_is_absent_in_two_looks_and_was_touched_in_between_is_not_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        (it.vault / "a.md").write_text(BAKING)
        await it.settle("a")
        baking = await it.ids("a")
        (it.vault / "a.md").unlink()
        await it.settle("a")
        it.mirror._renaming._since["a"] -= PATIENCE
        # An editor has saved it, and is about to save it again.
        it.mirror._renaming.stirred(["a", "b"])
        await it.settle("a")
        assert (await it.ids("a"), it.mirror._renaming.waiting) == (baking, {"a"})
        it.mirror._renaming._stirred = {}
        it.mirror._renaming._since["a"] -= PATIENCE
        await it.settle("a")
        assert (await it.ids("a"), it.mirror._renaming.waiting) == ([], set())


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


async def test_a_file_renamed_between_the_looks_at_its_two_names_is_the_same_file(tmp_path: Path) -> None:
    class Slow(FileWork):
        def _look(self, topic: str, known: VaultFile | None) -> Look | None:
            found = super()._look(topic, known)
            if topic == "b":
                move(it.vault / "b.md", it.vault / "c.md")
            return found

    async with desk(tmp_path) as it:
        _, sailing = await it.two_notes()
        it.mirror._hands = Slow(it.mirror._vault.swap)
        await it.settle("b", "c")
        await it.settle("b", "c")
        assert (await it.ids("b"), await it.ids("c")) == ([], sailing)


async def test_two_names_of_one_file_are_two_notes(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.two_notes()
        (it.vault / "c.md").hardlink_to(it.vault / "b.md")
        await it.settle("b", "c")
        assert await it.text("b") == await it.text("c") == SAILING

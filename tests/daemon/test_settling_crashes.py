"""The mirror dies between remembering what it is about to write and having written it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.authoring import add_drafts
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.mirror.settling import Look
from tests.daemon.paper import Paper
from tests.daemon.test_settling import FILE, paper
from tests.daemon.test_settling_renames import entries

pytestmark = pytest.mark.anyio


async def begin_to_write(it: Paper) -> None:
    """The mirror dies before it writes."""
    todo = await it.write(lambda tx: it.settler.settle(tx, Look(it.topic, unchanged=True)))
    assert todo and todo.text


async def test_what_never_came_into_a_file_is_not_missing_from_what_somebody_saves_then(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        for content in ("one by another", "two by another", "three by another"):
            await it.add_unseen(content)
        await it.edit_unseen((await it.living())[1].id, "first, which was the beginning of all this")
        await begin_to_write(it)
        # By chance the author writes what looks like a part of it.
        await it.save(FILE.replace("second", "second, which was the beginning of all this"))
        assert set(await entries(it)) >= {"one by another", "two by another", "three by another"}
        assert "first, which was the beginning of all this" in await entries(it)


async def test_a_file_that_somebody_makes_before_the_mirror_could_takes_nothing_away(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.write(lambda tx: add_drafts(tx, it.pipeline, it.topics, [Draft("from elsewhere", topic="notes")]))
        await begin_to_write(it)
        await it.save("## 2026-05-05 10:00\n\nsomething else altogether\n")
        assert set(await entries(it)) == {"from elsewhere", "something else altogether"}


async def test_an_edit_of_what_was_written_but_not_recorded_is_one_of_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("from elsewhere")
        await it.save(FILE, crash=True)
        assert it.text and "from elsewhere" in it.text
        await it.save(it.text.replace("from elsewhere", "from not far away"))
        assert await entries(it) == ["first", "second", "from not far away"]


async def test_a_file_renamed_and_edited_after_a_write_that_was_not_recorded_has_nothing_twice(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.edit_unseen((await it.living())[1].id, "first, and what others wrote")
        await it.save(FILE, crash=True)
        assert it.text and "what others wrote" in it.text
        await it.rename("plan", it.text + "## 2026-05-05 10:00\n\nby hand\n")
        assert await entries(it) == ["first, and what others wrote", "second", "by hand"]


async def test_a_file_renamed_and_edited_before_a_write_has_what_was_to_be_written(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.edit_unseen((await it.living())[1].id, "first, and what others wrote")
        await begin_to_write(it)
        await it.rename("plan", FILE + "## 2026-05-05 10:00\n\nby hand\n")
        assert await entries(it) == ["first, and what others wrote", "second", "by hand"]


FORMER = """# note 17

meba bavigozé 東de🎉ét meninipo meeting safi depo wote🎉me billing
kuba ru東 ruzérude medepo la東 ürla laét🎉ür laétru東 meeting zéla melalaét zésa niשלוvite niשלוme🎉 wo🎉 meeting
pogoxa 🎉me defime xazéür rusameba meeting lawo ladedeשלו wofi kurupoür meeting
bade東שלו 🎉ürvi zéla vivimeür שלוürme xazéru vixasa ürnizéba rumeni billing ruét wowozé xaku🎉go meeting
"""
ANOTHER = """# note 17

ürxa ét🎉 zéru meeting fixazéfi שלוgo ruür שלוkuxago vififi latezéla étwobaét queue

viét🎉 🎉worugo שלוzé zézéme rumevi שלוlasawo zéfiשלו שלוsaba de🎉vi🎉 cluster dedeba ürpo bakuzézé viru zé🎉vi meeting

finibate kugolazé 🎉te dezé babazé 東ni🎉fi deploy ürlapo🎉 東ür שלוfide vini desa 東pozé lamefifi rula 東me cluster
"""


async def begin_to_remove(it: Paper) -> None:
    """Others have renamed the file; the mirror dies before it records that it has removed it."""
    await it.move_unseen("elsewhere")
    todo = await it.write(lambda tx: it.settler.settle(tx, Look(it.topic, unchanged=True)))
    assert todo and not todo.text


async def test_another_file_made_where_the_mirror_has_removed_one_unrecorded_is_no_edit_of_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FORMER)
        await begin_to_remove(it)
        await it.save(ANOTHER)
        assert [row.text for row in await it.living()] == [ANOTHER]
        it.topic = "elsewhere"
        assert [row.text for row in await it.living()] == [FORMER]


async def test_a_file_gone_on_with_before_the_mirror_could_remove_it_is_an_edit_of_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FORMER)
        await begin_to_remove(it)
        await it.save(FORMER + "and a line by hand\n")
        it.topic = "elsewhere"
        assert [row.text for row in await it.living()] == [FORMER + "and a line by hand\n"]


async def test_another_file_made_where_others_have_renamed_one_away_is_no_edit_of_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FORMER)
        await it.move_unseen("elsewhere")
        await it.save(ANOTHER)
        assert [row.text for row in await it.living()] == [ANOTHER]
        await it.save(ANOTHER + "and a line by hand\n")
        assert [row.text for row in await it.living()] == [ANOTHER + "and a line by hand\n"]
        it.topic = "elsewhere"
        assert [row.text for row in await it.living()] == [FORMER]


async def test_another_file_put_where_a_shorter_text_was_to_be_written_removes_nothing_of_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE + "## 2026-05-05 10:00\n\n" + "a long entry that others will have taken away " * 20 + "\n")
        await it.forget_unseen((await it.living())[-1].id)
        await it.add_unseen("from elsewhere")
        await begin_to_write(it)
        await it.save(ANOTHER)
        assert "from elsewhere" in await entries(it)
        assert it.text and ANOTHER.strip() in it.text

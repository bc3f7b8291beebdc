from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hiveminddb.daemon.mirror.settling import Look
from hiveminddb.store.database import Database
from hiveminddb.store.memories import entries_of
from hiveminddb.vault.files import FileText, Stat, digest_of
from tests.daemon.paper import Paper

pytestmark = pytest.mark.anyio

FILE = "# notes\n\n## 2026-01-01 10:00:00 UTC\n\nfirst\n\n## 2026-01-02 10:00:00 UTC\n\nsecond\n\n"


@asynccontextmanager
async def paper(folder: Path) -> AsyncIterator[Paper]:
    async with Database(folder / "hivemind.db") as database:
        yield Paper(database)


async def test_a_file_becomes_its_entries_and_is_not_touched(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        assert it.text == FILE
        assert [row.content for row in await it.living() if row.listed] == ["first", "second"]


async def test_odd_bytes_come_back_exactly(tmp_path: Path) -> None:
    head = "\ufeff---\r\ntags: [a]\r\n---\r\n# t\r\n\r\n"
    odd = head + "## 2026-01-01\r\n\r\nx\t \r\n\r\n\r\n## 2026-01-02 10:00 no newline at the end"
    async with paper(tmp_path) as it:
        await it.save(odd)
        assert it.text == odd
        assert "".join(row.text for row in await it.living()) == odd


async def test_an_edit_keeps_the_memory_and_its_past(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        before = {row.content: row.id for row in await it.living()}
        await it.save(FILE.replace("second", "second, and more"))
        after = {row.content: row.id for row in await it.living()}
        assert after["second, and more"] == before["second"]
        assert it.text == FILE.replace("second", "second, and more")


async def test_a_stale_buffer_reverts_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add("by the api")
        await it.add("and another")
        await it.save(FILE.replace("first", "FIRST"))
        contents = [row.content for row in await it.living() if row.listed]
        assert contents == ["FIRST", "second", "by the api", "and another"]
        assert it.text and "FIRST" in it.text and "and another" in it.text


async def test_a_buffer_that_stays_stale_over_several_saves_repeats_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add("by the api, quite a long text that outweighs small edits by far")
        stale = FILE.replace("first", "first edited")
        await it.save(stale)
        stale = stale.replace("second", "second edited")
        await it.save(stale)
        stale = stale.replace("first edited", "first edited twice")
        await it.save(stale)
        contents = [row.content for row in await it.living() if row.listed]
        assert contents == [
            "first edited twice",
            "second edited",
            "by the api, quite a long text that outweighs small edits by far",
        ]


async def test_an_append_by_another_program_survives_a_stale_save(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.save(FILE + "## 2026-01-03 10:00:00 UTC\n\nappended by another program\n\n")
        await it.save(FILE.replace("first", "FIRST"))
        contents = [row.content for row in await it.living() if row.listed]
        assert contents == ["FIRST", "second", "appended by another program"]


async def test_a_buffer_older_than_all_that_is_remembered_reverts_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        for number in range(10):
            await it.add(f"seen {number}")
        stale = it.text
        assert stale
        for number in range(60):
            await it.add(f"unseen {number}")
        await it.save(stale.replace("first", "FIRST"))
        contents = [row.content for row in await it.living() if row.listed]
        expected = ["FIRST", "second", *(f"seen {n}" for n in range(10)), *(f"unseen {n}" for n in range(60))]
        assert contents == expected


def appended(number: int, content: str) -> str:
    """An entry as the agent-memory server appends it."""
    return f"## 2026-01-03 10:00:{number:02} UTC\n\n{content}\n\n"


async def test_a_stale_buffer_with_an_edited_append_reverts_no_edit_of_the_api(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        row = await it.add("by the api")
        await it.save(FILE + appended(1, "appended by another program"))
        stale = it.text
        assert stale
        await it.edit(row.id, "by the api, which had more to say")
        for number in range(8):
            await it.add(f"unseen {number}")
        await it.save(stale.replace("appended by", "appended, as I see, by"))
        contents = [row.content for row in await it.living() if row.listed]
        unseen = [f"unseen {number}" for number in range(8)]
        said = ["by the api, which had more to say", "appended, as I see, by another program"]
        assert sorted(contents) == sorted(["first", "second", *said, *unseen])


async def test_many_appends_that_came_at_once_survive_a_buffer_from_before_them(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add("by the api")
        assert it.text
        edited = it.text.replace("first", "first, edited")
        await it.save(edited + "".join(appended(number, f"appended {number}") for number in range(9)))
        await it.save(edited.replace("second", "second, edited"))
        contents = [row.content for row in await it.living() if row.listed]
        said = ["first, edited", "second, edited", "by the api"]
        assert contents == said + [f"appended {number}" for number in range(9)]


async def test_an_append_with_new_first_words_was_there_and_the_one_after_it_was_not(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add("by the api")
        assert it.text
        edited = it.text.replace("first", "first, edited")
        both = edited + appended(1, "one two three four five six") + appended(2, "unseen")
        await it.save(both)
        seen = edited + appended(1, "ONE two three four five six")
        await it.save(seen.replace("## 2026-01-02 10:00:00 UTC\n\nsecond\n\n", ""))
        contents = [row.content for row in await it.living() if row.listed]
        assert contents == ["first, edited", "by the api", "ONE two three four five six", "unseen"]


async def test_appends_to_a_file_first_seen_with_them_survive_a_buffer_from_before_them(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE + appended(1, "appended before anybody looked"))
        await it.save(FILE.replace("first", "first, edited"))
        contents = [row.content for row in await it.living() if row.listed]
        assert contents == ["first, edited", "second", "appended before anybody looked"]


async def test_a_buffer_with_what_the_api_added_to_a_memory_is_no_older_one(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        row = await it.add("by the api")
        gone = await it.add("a long text that somebody takes out of the file in the same save as the edit")
        await it.edit(row.id, "more from the api, and then\n\nby the api")
        assert it.text
        await it.save(it.text.replace(gone.text, "").replace("and then", "and then, I add,"))
        contents = [row.content for row in await it.living() if row.listed]
        assert contents[:3] == ["first", "second", "more from the api, and then, I add,\n\nby the api"]


async def test_what_a_person_takes_back_stays_taken_back(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("# notes\n\nhello\n")
        await it.save("# notes\n\nhello world\n")
        await it.save("# notes\n\nhello there\n")
        assert it.text == "# notes\n\nhello there\n"


async def test_going_back_to_an_older_file_is_honoured(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        other = "# notes\n\n## 2026-02-01 10:00:00 UTC\n\nanother branch\n\n"
        await it.save(other)
        await it.save(FILE)
        assert it.text == FILE
        assert [row.content for row in await it.living() if row.listed] == ["first", "second"]
        await it.save(other)
        assert it.text == other


async def test_an_entry_of_the_api_can_be_deleted_from_the_file(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        row = await it.add("to be deleted")
        await it.save(FILE)
        assert it.text == FILE
        assert row.id in [gone.id for gone in await it.gone()]


async def test_a_removed_file_invalidates_and_the_same_file_again_brings_back_the_same_memories(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        ids = [row.id for row in await it.living()]
        await it.remove()
        assert await it.living() == []
        assert it.text is None
        await it.save(FILE)
        assert [row.id for row in await it.living()] == ids


async def test_a_removed_file_that_comes_back_edited_brings_back_the_same_memories(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        ids = [row.id for row in await it.living()]
        await it.remove()
        back = FILE.replace("second", "second, and what was thought of since")
        await it.save(back)
        assert [row.id for row in await it.living()] == ids
        assert it.text == back


@pytest.mark.parametrize("is_seen", [False, True])
@pytest.mark.parametrize("back", [FILE, FILE.replace("second", "second, by hand")])
async def test_a_removed_file_that_comes_back_has_what_others_wrote_meanwhile_once(
    tmp_path: Path, back: str, is_seen: bool
) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        rows = await it.living()
        await it.remove()
        await it.write_text_unseen(rows[1].id, rows[1].text.replace("first", "first, as others see it"))
        if is_seen:
            await it.come_round()
            assert it.text and "as others see it" in it.text
        await it.save(back)
        assert [row.id for row in await it.living()] == [row.id for row in rows]
        assert it.text == back.replace("first", "first, as others see it")


async def test_what_others_made_of_a_removed_file_stays_when_a_part_of_it_comes_back(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        rows = await it.living()
        await it.remove()
        await it.write_text_unseen(rows[1].id, rows[1].text.replace("first", "first, as others see it"))
        await it.come_round()
        await it.save(rows[0].text + rows[2].text)
        assert [row.id for row in await it.living()] == [row.id for row in rows]
        await it.save((it.text or "").replace("second", "second, once more"))
        assert "as others see it" in (it.text or "") and "once more" in (it.text or "")


async def test_a_new_file_of_the_name_of_a_removed_one_is_no_edit_of_that(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.remove()
        other = "# shopping\n\n## 2026-02-01 10:00:00 UTC\n\nmilk and bread\n"
        await it.save(other)
        assert it.text == other
        assert not {row.id for row in await it.living()} & {row.id for row in await it.gone()}


async def test_a_file_that_gets_the_name_of_a_renamed_one_is_another_file(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("```\nnever closed")
        await it.write(lambda tx: it.settler.renamed(tx, ("notes", "renamed", _file(it.text or ""))))
        other = "---\ntags: [a]\n---\n## 2026-01-01 10:00\n\nfirst\n\n"
        await it.save(other)
        assert it.text == other
        renamed = await it.database.read(lambda db: entries_of(db, "renamed"))
        assert [row.text for row in renamed] == ["```\nnever closed"]


async def test_an_emptied_file_loses_its_memories_but_is_left_as_it_is(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.save("")
        assert it.text == ""
        assert await it.living() == []


async def test_an_empty_file_is_left_alone_however_often_it_is_looked_at(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("")
        assert await it.write(lambda tx: it.settler.settle(tx, Look("notes", unchanged=True))) is None
        await it.save(FILE)
        await it.save("\n")
        assert await it.write(lambda tx: it.settler.settle(tx, Look("notes", unchanged=True))) is None
        assert it.text == "\n"


async def test_a_crash_between_writing_and_recording_doubles_nothing(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("mirrored just before the crash")
        await it.save(FILE.replace("first", "FIRST"), crash=True)
        assert it.text is not None
        await it.add_unseen("added while the file was not known")
        await it.save(it.text)
        contents = [row.content for row in await it.living() if row.listed]
        assert contents == ["FIRST", "second", "mirrored just before the crash", "added while the file was not known"]


async def test_a_torn_append_is_completed_and_not_taken_for_an_edit(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        await it.add_unseen("cut in the middle")
        await it.write(lambda tx: it.settler.settle(tx, Look("notes", unchanged=True)))
        row = next(row for row in await it.living() if row.content == "cut in the middle")
        await it.save(FILE + row.text[:20])
        assert it.text == FILE + row.text
        assert [row.content for row in await it.living() if row.listed] == ["first", "second", "cut in the middle"]


async def test_a_memory_that_looks_like_several_entries_stays_one(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        row = await it.add("before\n\n## 2026-03-03 looks like an entry\n\n```\nand a fence that never ends")
        await it.add("after")
        assert it.text
        await it.save(it.text.replace("after", "AFTER"))
        living = {row.id: row.content for row in await it.living() if row.listed}
        assert living[row.id] == row.content
        assert list(living.values())[-1] == "AFTER"


async def test_new_files_taken_in_together_are_as_those_taken_in_alone(tmp_path: Path) -> None:
    texts = {
        "plain": "just prose\n",
        "entries": FILE,
        "fenced": "# f\n\n```\n## 2026-01-01 not an entry\n```\n\n## 2026-01-02 an entry\n\nx\n",
        "bare": "## 2026-01-03\n",
        "crlf": "\ufeff# c\r\n\r\n## 2026-01-04\r\n\r\ny",
    }
    async with paper(tmp_path) as it:
        looks = [Look(topic, _file(text)) for topic, text in texts.items()]
        assert await it.write(lambda tx: it.settler.settle_new(tx, looks)) == set(texts)
        alone = [Look(topic + " alone", _file(text)) for topic, text in texts.items()]
        for look in alone:
            assert await it.write(lambda tx, look=look: it.settler.settle(tx, look)) is None  # type: ignore[misc]
        for topic, text in texts.items():
            together = await it.database.read(lambda db, topic=topic: entries_of(db, topic))  # type: ignore[misc]
            apart = await it.database.read(lambda db, topic=topic: entries_of(db, topic + " alone"))  # type: ignore[misc]
            assert [(row.text, row.role, row.listed) for row in together] == [
                (row.text, row.role, row.listed) for row in apart
            ]
            assert "".join(row.text for row in together) == text
        again = await it.write(lambda tx: [it.settler.settle(tx, look) for look in looks])
        assert again == [None] * len(looks)
        assert await it.write(lambda tx: it.settler.settle_new(tx, looks)) == set()


def _file(text: str) -> FileText:
    return FileText(text, digest_of(text), Stat(len(text.encode()), 1, 1, 1))


async def test_a_stale_save_that_adds_where_others_added_keeps_their_lines(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("# plan\n\nbuy milk\n")
        row = next(iter(await it.living()))
        await it.write_text_unseen(row.id, "# plan\n\nbuy milk\n\nring the plumber about the tap\n")
        await it.come_round()
        await it.save("# plan\n\nbuy milk today\n\nfeed the neighbour's cat\n")
        assert it.text and {"buy milk today", "ring the plumber about the tap", "feed the neighbour's cat"} <= set(
            it.text.splitlines()
        )


async def test_a_save_that_rewrites_the_line_others_added_replaces_it(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save("# plan\n\nbuy milk\n")
        row = next(iter(await it.living()))
        await it.write_text_unseen(row.id, "# plan\n\nbuy milk\n\nring the plumber about the tap\n")
        await it.come_round()
        answer = "# plan\n\nbuy milk today\n\nring the plumber about the shower\n"
        await it.save(answer)
        assert it.text == answer


async def test_a_save_that_lacks_all_that_came_but_a_word_has_that_word_once(tmp_path: Path) -> None:
    async with paper(tmp_path) as it:
        await it.save(FILE)
        first = next(row for row in await it.living() if row.content == "first")
        await it.edit_unseen(first.id, "first thirdly")
        added = await it.add("what the api wrote in the meantime, in a sentence of some length")
        assert it.text and "first thirdly" in it.text and added.text in it.text
        # Whether its author has taken out the rest or never saw it, nobody can tell.
        buffer = it.text.replace(added.text, "").replace("first thirdly", "first thirdly fourthly")
        await it.save(buffer)
        assert it.text.count("first thirdly fourthly\n") == it.text.count("thirdly") == 1
        await it.save(buffer.replace("fourthly", "fourthly fifthly").replace("second", "second, edited"))
        assert it.text.count("first thirdly fourthly fifthly\n") == it.text.count("thirdly") == 1
        assert "second, edited" in it.text and added.text in it.text

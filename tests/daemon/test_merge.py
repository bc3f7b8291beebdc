"""The merge, case by case: what two people did apart, and what both then find."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from hiveminddb.daemon.mirror.bases import BASES_KEPT, NO_TEXT
from hiveminddb.daemon.mirror.settling import Look
from hiveminddb.store import vault_state
from tests.daemon.island import Island, agree, islands, meet

HEAD = "# notes\n\n"
FIRST = "## 2026-01-01 10:00:00 UTC\n\nfirst\n\n"
SECOND = "## 2026-01-02 10:00:00 UTC\n\nsecond\n\n"
THIRD = "## 2026-01-03 10:00:00 UTC\n\nthird\n\n"
FILE = HEAD + FIRST + SECOND


@pytest.fixture(params=range(3))
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


def test_one_text_edited_apart_has_both_edits(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        meet([a, b])
        a.save("notes", FILE.replace("first", "first and more"))
        b.save("notes", FILE.replace("first", "the first").replace("second", "second here"))
        meet([a, b], chance)
        agree([a, b])
        assert a.contents("notes") == ["the first and more", "second here"]


def test_an_entry_of_a_word_that_came_from_elsewhere_can_be_rewritten_whole(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        meet([a, b])
        b.save("notes", rewritten := FILE.replace("second", "other"))
        assert b.files["notes"] == rewritten
        meet([a, b], chance)
        agree([a, b])
        assert a.files["notes"] == rewritten


def test_the_same_file_on_two_machines_is_one_set_of_documents(chance: random.Random) -> None:
    with islands("a", "b", "c") as (a, b, c):
        for it in (a, b):
            it.save("notes", FILE)
        meet([a, b, c], chance)
        agree([a, b, c])
        assert a.files == b.files == c.files == {"notes": FILE}
        assert a.contents("notes") == ["first", "second"]


def test_files_that_are_nearly_the_same_share_what_they_share(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", HEAD + FIRST + THIRD)
        b.save("notes", HEAD + FIRST + SECOND + THIRD)
        a.save("notes", HEAD + FIRST + THIRD.replace("third", "third on a"))
        meet([a, b], chance)
        agree([a, b])
        assert sorted(a.contents("notes")) == ["first", "second", "third on a"]


def test_entries_that_are_equal_stay_as_many_as_they_are() -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FIRST * 2)
        b.save("notes", FIRST * 3)
        meet([a, b])
        agree([a, b])
        assert a.files == {"notes": FIRST * 3}


def test_files_that_come_with_the_first_look_are_shared_too(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        a.save("notes", FILE.replace("second", "second, edited on a"))
        # The changes are there before the mirror first looks at the same old file.
        b.hear(a)
        b.save("notes", FILE)
        meet([a, b], chance)
        agree([a, b])
        assert a.contents("notes") == ["first", "second, edited on a"]


def test_a_topic_opened_on_both_is_one_file(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.add("notes", "by a")
        b.add("notes", "by b")
        meet([a, b], chance)
        agree([a, b])
        assert a.files["notes"].startswith("# notes\n\n## ")
        assert a.files["notes"].count("# notes") == 1
        assert sorted(a.contents("notes")) == ["by a", "by b"]


@pytest.mark.parametrize(
    "head", ["# notes\n\n", "# Notes\n\n", "# My notes\n\nSome prose.\n\n", "---\ntags: [x]\n---\n"]
)
def test_a_topic_opened_here_and_a_file_written_there_is_one_file(head: str, chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.add("notes", "by a")
        b.save("notes", head + FIRST)
        meet([a, b], chance)
        agree([a, b])
        text = a.files["notes"]
        assert head.strip() in text or head == "# Notes\n\n"
        assert text.lower().count("# notes") <= 1
        assert {row.content for row in a.living("notes") if row.role == "entry"} == {"by a", "first"}


def test_two_heads_with_words_both_stay_and_can_be_edited(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", "# Notes of a\n\nProse of a.\n\n" + FIRST)
        b.save("notes", "# Notes of b\n\nProse of b.\n\n" + SECOND)
        meet([a, b], chance)
        agree([a, b])
        text = a.files["notes"]
        assert all(words in text for words in ("Notes of a", "Prose of a.", "Notes of b", "Prose of b."))
        changes = len(a.log())
        a.save("notes", text)
        assert len(a.log()) == changes
        a.save("notes", text.replace("Prose of b.", "Prose of both."))
        b.save("notes", text.replace("Prose of a.", "Prose of a and more."))
        meet([a, b], chance)
        agree([a, b])
        assert a.files["notes"] == text.replace("Prose of b.", "Prose of both.").replace("of a.", "of a and more.")


def test_an_edit_outlives_a_deletion_that_did_not_know_of_it(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        row = a.add("notes", "a fact")
        meet([a, b])
        a.edit(row.id, text=row.text.replace("fact", "better fact"))
        b.forget(row.id)
        meet([a, b], chance)
        agree([a, b])
        assert a.contents("notes") == ["a better fact"]
        assert {version.operation for version in a.history(row.id)} == {"add", "update", "invalidate"}
        assert a.history(row.id) == b.history(row.id)
        assert a.row(row.id).version == 3


def test_what_both_delete_is_gone_and_comes_back_once(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        meet([a, b])
        for it in (a, b):
            it.save("notes", HEAD + FIRST)
        meet([a, b], chance)
        agree([a, b])
        assert a.files == {"notes": HEAD + FIRST}
        gone = next(id for (id,) in a.connection.execute("SELECT id FROM memories WHERE invalidated_at IS NOT NULL"))
        b.restore(gone)
        meet([a, b], chance)
        agree([a, b])
        assert a.files == {"notes": FILE}


def test_tags_and_fields_set_apart_all_hold(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        row = a.add("notes", "x", tags=("one", "two"), metadata={"k": 1})
        meet([a, b])
        a.edit(row.id, tags=["one", "two", "three"], user_id="ann")
        b.edit(row.id, tags=["two"], agent_id="bot")
        meet([a, b], chance)
        agree([a, b])
        found = a.row(row.id)
        assert (found.tags, found.user_id, found.agent_id) == (("three", "two"), "ann", "bot")


def test_a_file_deleted_here_and_appended_to_there_keeps_what_was_appended(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        meet([a, b])
        a.remove("notes")
        b.save("notes", FILE + THIRD)
        meet([a, b], chance)
        agree([a, b])
        assert a.files == {"notes": THIRD}


def test_a_file_deleted_before_the_nodes_met_is_kept_by_the_other(chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        for it in (a, b):
            it.save("notes", FILE)
        a.remove("notes")
        meet([a, b], chance)
        agree([a, b])
        assert a.files == {"notes": FILE}
        a.remove("notes")
        meet([a, b], chance)
        agree([a, b])
        assert a.files == {}


def test_two_names_for_one_file_end_as_one(chance: random.Random) -> None:
    with islands("a", "b", "c") as (a, b, c):
        a.save("notes", FILE)
        a.save("notes", FILE + THIRD)
        meet([a, b, c])
        a.add("notes", "new on a")
        b.add("notes", "new on b")
        c.add("notes", "new on c")
        for it in (a, b, c):
            it.mirror()
        a.rename("notes", "names/a")
        b.rename("notes", "names/b")
        meet([a, b, c], chance)
        agree([a, b, c])
        ((topic, text),) = a.files.items()
        assert topic in ("names/a", "names/b")
        assert text.startswith(FILE + THIRD)
        assert sorted(a.contents(topic)) == ["first", "new on a", "new on b", "new on c", "second", "third"]


def test_a_file_renamed_there_and_back_comes_to_rest() -> None:
    with islands("a", "b") as (one, other):
        one.save("notes", FILE)
        other.save("notes", FILE)
        meet([one, other])
        one.rename("notes", "elsewhere")
        one.rename("elsewhere", "notes")
        for _ in range(3):
            other.hear(one)
            one.hear(other)
        assert (other.hear(one), one.hear(other)) == (0, 0)
        meet([one, other])
        assert one.files == other.files == {"notes": FILE}


def test_an_entry_added_to_a_file_that_was_renamed_meanwhile_goes_with_it(chance: random.Random) -> None:
    with islands("a", "b", "c") as (a, b, c):
        a.save("notes", FILE)
        meet([a, b, c])
        a.rename("notes", "renamed")
        b.save("notes", FILE + THIRD)
        meet([a, b, c], chance)
        agree([a, b, c])
        assert c.files == {"renamed": FILE + THIRD}
        # The old name is free again, and what is put there stays there.
        b.add("notes", "another file")
        meet([a, b, c], chance)
        agree([a, b, c])
        assert sorted(a.files) == ["notes", "renamed"]


@pytest.mark.parametrize("head", ["\n", "# plan\n\n", "# plan\n\nwords that nobody types twice\n\n"])
def test_files_made_apart_that_begin_like_one_that_was_removed_stay_two(head: str, chance: random.Random) -> None:
    with islands("a", "b", "c") as (a, b, c):
        a.save("old", head + THIRD)
        meet([a, b, c])
        a.remove("old")
        meet([a, b, c])
        a.save("one", head + FIRST)
        b.save("other", head + SECOND)
        b.rename("other", "another")
        meet([a, b, c], chance)
        agree([a, b, c])
        assert (a.contents("one")[-1:], a.contents("another")[-1:]) == (["first"], ["second"])
        if "words" not in head:
            assert a.files == {"one": head + FIRST, "another": head + SECOND}


Deed = Callable[[Island], None]


def edit_file(it: Island) -> None:
    it.save("notes", it.files["notes"].replace("first", f"first by {it.name}"))


def append(it: Island) -> None:
    it.save("notes", it.files["notes"] + THIRD.replace("third", f"third by {it.name}"))


def rename(it: Island) -> None:
    it.rename("notes", f"renamed by {it.name}")


def delete_file(it: Island) -> None:
    it.remove("notes")


def delete_entry(it: Island) -> None:
    it.save("notes", it.files["notes"].replace(SECOND, ""))


def add(it: Island) -> None:
    it.add("notes", f"added by {it.name}")


DEEDS = (edit_file, append, rename, delete_file, delete_entry, add)


PAIRS = tuple(itertools.combinations_with_replacement(DEEDS, 2))


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_every_two_deeds_done_apart_lose_nothing_written(one: Deed, other: Deed, chance: random.Random) -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        meet([a, b])
        one(a)
        other(b)
        meet([a, b], chance)
        agree([a, b])
        text = "".join(a.files.values())
        for deed, name in ((one, "a"), (other, "b")):
            written: dict[Deed, str] = {edit_file: f"by {name}", append: f"third by {name}", add: f"added by {name}"}
            assert written.get(deed, "") in text
        if rename in (one, other):
            # A renamed file lives on, also where the other deleted it; nothing stays under the old name.
            assert "first" in text
            assert all(topic.startswith("renamed by") for topic in a.files)
        if {one, other} == {delete_file}:
            assert a.files == {}


def test_a_mirror_killed_while_it_removed_a_file_does_not_take_it_for_a_persons_removal() -> None:
    text = "# page\n\n## 2026-01-01 10:00\n\nwords\n"
    with islands("a", "b") as (a, b):
        a.save("page", text)
        meet([a, b])
        a.remove("page")
        b.hear(a)
        todo = b.write(lambda tx: b.settler.settle(tx, Look("page", unchanged=True)))
        assert todo and not todo.text
        # The file is gone, and the daemon with it; when it starts again it first hears that the file is back.
        b.files.pop("page")
        assert b.write(lambda tx: vault_state.removals(tx.connection, NO_TEXT)) == ["page"]
        a.save("page", text)
        b.hear(a)
        b._settle("page", Look("page"))
        assert len(b.living("page")) == len(a.living("page")) == 2
        assert b.files["page"] == text
        assert not b.write(lambda tx: vault_state.removals(tx.connection, NO_TEXT))


def test_a_buffer_that_is_older_than_all_that_is_remembered_reverts_nothing_of_another_machines_save() -> None:
    with islands("a", "b") as (a, b):
        a.save("notes", FILE)
        b.hear(a)
        b.mirror()
        b.save("notes", b.files["notes"] + "## 2026-03-03 10:00\n\nsaved on b\n\n")
        a.hear(b)
        a.mirror()
        for n in range(BASES_KEPT + 6):
            a.add("notes", f"added on a, number {n}")
            a.mirror()
        before = a.contents("notes")
        a.save("notes", FILE.replace("first", "first, by hand"))
        assert a.contents("notes") == [it.replace("first", "first, by hand") for it in before]

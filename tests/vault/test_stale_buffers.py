"""Which text a save was made from: what its author has not read stays, what they changed is changed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.vault.choosing import NO_BASE, Base, Entry, choose, render
from hiveminddb.vault.difference import is_between
from hiveminddb.vault.reconcile import plan
from tests.vault.saved import after, entry, file_of, history


def test_a_stale_buffer_keeps_entries_others_added_since() -> None:
    seen, present = file_of(1, 2), file_of(1, 2, 3, 4)
    bases = history(("disk", seen), ("mirror", file_of(1, 2, 3)), ("mirror", present))
    result = after(present, bases, render(seen).replace("day, 2", "day, 2, edited"))
    assert "day, 2, edited" in result
    assert "day, 3" in result and "day, 4" in result


def test_a_stale_buffer_keeps_what_peers_wrote_into_another_entry() -> None:
    seen = file_of(1, 2)
    present = [seen[0], Entry("day1", entry(1, "a peer wrote this instead")), seen[2]]
    bases = history(("disk", seen), ("mirror", present))
    made = plan(present, bases, render(seen).replace("day, 2", "day, 2, edited"))
    assert made.base == 1
    assert [edit.document for edit in made.edits] == ["day2"]


def test_a_stale_buffer_keeps_an_entry_that_agent_memory_appended() -> None:
    seen, present = file_of(1, 2), file_of(1, 2, 3)
    bases = history(("mirror", seen), ("disk", present))
    made = plan(present, bases, render(seen).replace("day, 1", "day one"))
    assert (made.base, made.deletes) == (1, ())


def test_a_stale_buffer_keeps_a_line_that_others_wrote_into_the_same_empty_one() -> None:
    before = "# notes\n\nwhat was there before\n\n\nand behind it more\n"
    theirs = before.replace("before\n\n", "before\n the printer stands in the hall\n")
    mine = before.replace("before\n\n", "before\n tea at four on every other thursday\n")
    older, newest = [Entry("head", before, is_head=True)], [Entry("head", theirs, is_head=True)]
    bases = [Base(9, "mirror", newest), Base(3, "disk", older)]
    assert choose(bases, mine) == 1
    # Who goes on with that line has seen it.
    assert choose(bases, theirs.replace("hall", "cellar")) == 0


def test_who_ticks_the_same_item_as_another_need_not_have_read_what_else_they_wrote() -> None:
    seen = [Entry("head", "# todo\n\n- [ ] call the landlord\n\n", is_head=True), *file_of(1, 2)[1:]]
    ticked = Entry("head", seen[0].text.replace("[ ]", "[x]"), is_head=True)
    theirs = [ticked, *seen[1:], Entry("day3", entry(3, "the landlord calls back on friday"))]
    bases = history(("disk", seen), ("mirror", theirs))
    made = plan(theirs, bases, render([ticked, *seen[1:]]).replace("day, 2", "day, 2, edited"))
    assert (made.base, made.deletes) == (1, ())
    # With a second one of theirs they have read it.
    both = [theirs[0], Entry(seen[1].document, seen[1].text.replace("1", "I")), *theirs[2:]]
    bases = history(("disk", seen), ("mirror", both))
    made = plan(both, bases, render(both[:-1]))
    assert (made.base, made.deletes) == (0, ("day3",))


def test_another_text_under_the_same_name_is_no_stale_edit_of_what_was_there() -> None:
    first = [Entry("a", "## 2026-01-01 10:00:00 UTC\n\nthe first of two entries here\n\n")]
    second = [*first, Entry("b", "## 2026-01-02 10:00:00 UTC\n\nthe other one came later\n\n")]
    edited = [Entry("a", first[0].text.replace("two", "many")), second[1]]
    bases = [Base(9, "disk", edited), Base(7, "disk", second), Base(3, "disk", first)]
    other = "# Shopping\n\n- bread and butter for four\n- a bottle of wine\n"
    found = plan(edited, bases, other)
    assert found.base == 0
    assert found.deletes == ("a", "b")


def test_a_long_text_with_the_same_tags_is_no_stale_edit_of_a_short_one() -> None:
    front = "---\ntags: [work, home]\n---\n"
    first = [Entry("a", f"{front}\nring the plumber about the tap\n\nand ask what it costs\n", True)]
    second = [Entry("b", f"{front}\nwhat to bring on friday\n\n", True), Entry("c", entry(1, "somebody elses"))]
    sentence = "Long before anybody had thought of a plumber, rivers ran where they liked and no cost was counted. "
    bases = [Base(9, "mirror", second), Base(7, "mirror", first), Base(3, "disk", first)]
    assert plan(second, bases, front + 8 * sentence).base == 0


def test_a_stale_buffer_keeps_a_line_that_shares_letters_with_what_its_author_wrote() -> None:
    old = "alpha beta one billing\né Übung two cluster\n\n東京 queue three queue gamma\n"
    seen, present = [Entry("head", old, True)], [Entry("head", old + "gamma gamma four café\n", True)]
    bases = history(("mirror", seen), ("mirror", present))
    edited = old.replace("alpha", "omega") + "\nbilling billing token queue beta deploy naïve five beta beta cluster"
    assert plan(present, bases, edited).base == 1


def test_an_entry_of_the_same_day_does_not_show_that_its_author_has_read_anothers() -> None:
    seen = file_of(1, 2)
    others = [Entry(f"other{n}", f"## 2024-01-{n:02}\n\nwritten elsewhere, number {n}\n\n") for n in (3, 4, 5)]
    bases = history(("disk", seen), ("mirror", [*seen, *others]))
    made = plan([*seen, *others], bases, render([*seen, Entry("", "## 2024-01-03\n\nwhat we did here today\n")]))
    assert (made.base, made.deletes, len(made.creates)) == (1, (), 1)


def test_an_entry_with_a_long_text_put_above_its_own_was_seen() -> None:
    news = "## 2024-01-02 10:00\n\nhow bread is baked at home\n\n"
    known = [*file_of(1), Entry("b", news)]
    bases = history(("disk", known[:-1]), ("mirror", known))
    above = "".join(f"which wind carries a boat out to sea, part {n}\n" for n in range(5))
    made = plan(known, bases, render(known).replace("how bread", above + "how bread"))
    assert (made.base, [edit.document for edit in made.edits], made.creates) == (0, ["b"], ())


def test_a_save_undone_in_part_does_not_resurrect_what_its_author_deleted() -> None:
    versions = [[Entry("head", text, True)] for text in ("hello\n", "hello world\n")]
    bases = history(*(("disk", version) for version in versions))
    assert after(versions[-1], bases, "hello there\n") == "hello there\n"


def test_a_save_undone_in_part_does_not_resurrect_it_after_somebody_elses_write_either() -> None:
    first, second = file_of(1, body="hello"), file_of(1, body="hello world and more of it")
    present = [*second, Entry("day9", entry(9, "from an agent"))]
    bases = history(("disk", first), ("disk", second), ("mirror", present))
    text = render(second).replace("hello world and more of it", "hello there")
    made = plan(present, bases, text)
    assert made.base == 1
    assert made.edits[0].base_text == second[1].text and not made.deletes


def test_exactly_an_older_text_is_going_back_on_purpose() -> None:
    seen, present = file_of(1, 2), file_of(1, 2, 3)
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(seen))
    assert (made.base, made.deletes) == (0, ("day3",))


def test_exactly_an_older_text_changes_nothing_when_nobody_read_the_newer_one() -> None:
    seen, present = file_of(1, 2), file_of(1, 2, 3)
    bases = history(("mirror", seen), ("mirror", present))
    assert plan(present, bases, render(seen), unread=True).changes_nothing


def test_a_file_saved_again_after_it_was_removed_brings_all_that_it_says_back() -> None:
    seen, grown = file_of(1, 2), file_of(1, 2, 3)
    bases = history(("mirror", seen), ("mirror", grown), ("disk", []))
    made = plan([], bases, render(seen) + "and more\n")
    assert [create.revives for create in made.creates] == ["head", "day1"]
    assert [edit.document for edit in made.edits] == ["day2"] and made.order == (0, 1, "day2")


def test_so_does_one_saved_over_what_others_have_put_there_since() -> None:
    seen, grown = file_of(1, 2), file_of(1, 2, 3)
    present = [Entry("day9", entry(9, "from an agent"))]
    bases = history(("mirror", seen), ("mirror", grown), ("disk", []), ("mirror", present))
    made = plan(present, bases, render(seen) + "and more\n")
    assert [create.revives for create in made.creates] == ["head", "day1"]
    assert [edit.document for edit in made.edits] == ["day2"] and not made.deletes


def test_of_many_entries_that_have_just_come_nobody_has_taken_out_nearly_all() -> None:
    old, new = range(1, 11), range(11, 25)
    seen, present = file_of(*old), file_of(*old, *new)
    bases = history(("mirror", seen), ("mirror", present))
    # What its author has appended too, before the text that they hold was known here.
    text = render(file_of(*old, 15)) + entry(26, "by hand")
    made = plan(present, bases, text, hasty=True)
    assert (made.base, made.deletes, made.adopted, len(made.creates)) == (1, (), ("day15",), 1)
    # With time to read them, that is what a person has done.
    assert len(plan(present, bases, text).deletes) == 13


def test_of_a_file_that_has_just_been_made_all_but_one_entry_may_be_taken_out_at_once() -> None:
    seen, present = file_of(), file_of(*range(1, 16))
    bases = history(("mirror", seen), ("mirror", present))
    assert len(plan(present, bases, render(file_of(5)), hasty=True).deletes) == 14


def test_few_entries_that_have_just_come_may_be_taken_out_at_once() -> None:
    seen, present = file_of(1, 2), file_of(1, 2, 3, 4, 5)
    bases = history(("mirror", seen), ("mirror", present))
    assert plan(present, bases, render(file_of(1, 2, 5)), hasty=True).deletes == ("day3", "day4")


def test_another_file_saved_over_one_that_nobody_has_read_yet_removes_nothing_of_it() -> None:
    present = file_of(1, 2)
    made = plan(present, history(("mirror", present)), "a note of its own\n", unread=True)
    assert (made.base, len(made.creates), made.deletes) == (NO_BASE, 1, ())


def test_a_copy_saved_over_one_that_nobody_has_read_yet_is_an_edit_of_it() -> None:
    present = file_of(1, 2)
    made = plan(present, history(("mirror", present)), render(present[:2]), unread=True)
    assert (made.base, made.creates, made.deletes) == (0, (), ("day2",))


def test_an_append_needs_no_reading() -> None:
    seen, present = file_of(1), file_of(1, 2)
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(present) + entry(3, "appended"), unread=True)
    assert made.base == 0 and len(made.creates) == 1 and not made.deletes


def test_a_shortened_new_entry_was_seen_and_stays_short() -> None:
    seen = file_of(1)
    present = [*seen, Entry("new", entry(2, "a long text from an agent " * 20))]
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(seen) + entry(2, "a long text from an agent"))
    assert made.base == 0
    assert [(edit.document, edit.new_text) for edit in made.edits] == [("new", entry(2, "a long text from an agent"))]


def test_an_append_of_the_second_of_an_entry_that_was_deleted_is_not_that_entry() -> None:
    deleted, kept = Entry("a", entry(2, "from an agent")), Entry("b", entry(3, "from another"))
    base = [*file_of(1), deleted, kept]
    made = plan(base, [Base(1, "mirror", base)], render([*file_of(1), kept]) + entry(2, "appended by some program"))
    assert made.deletes == ("a",)
    assert [create.text for create in made.creates] == [entry(2, "appended by some program")]


def test_an_edited_part_of_a_new_entry_was_seen() -> None:
    seen = [*file_of(1), Entry("old", entry(2, "a long text that somebody takes out " * 9))]
    inner = "## 2024-02-01 10:00 inside\n\nwhat is kept\n\n"
    new = Entry("new", entry(3, f"by the api\n\n{inner}"))
    bases = history(("mirror", file_of(1)), ("mirror", [*seen, new]))
    made = plan([*seen, new], bases, render(file_of(1)) + inner.replace("kept", "kept, and more"))
    assert made.base == 0


def test_a_part_that_became_an_entry_of_its_own_is_no_sign_of_a_newer_text() -> None:
    inner = "## 2024-02-01 10:00 inside\n\nwhat an agent wrote below\n\n"
    whole, cut = Entry("day3", entry(3, "by an agent") + inner), Entry("day3", entry(3, "by an agent"))
    present = [*file_of(1, 2), whole]
    split = [*file_of(1, 2), cut, Entry("between", entry(4, "put between")), Entry("inner", inner)]
    unseen = [*file_of(1, 2), whole, Entry("unseen", entry(5, "unseen " * 50))]
    bases = [Base(9, "mirror", unseen), Base(8, "late", split), Base(1, "mirror", present)]
    made = plan(unseen, bases, render(split).replace("put between", "put in between"))
    assert made.base == 1 and not made.deletes


def test_what_is_left_of_an_entry_that_was_cut_in_two_is_no_sign_of_a_newer_text() -> None:
    inner = "## 2024-02-01 10:00 inside\n\nwhat an agent wrote below\n\n"
    whole, cut = Entry("day3", entry(3, "by an agent") + inner), Entry("day3", entry(3, "by an agent"))
    saved = [*file_of(1, 2), whole]
    merged = [*file_of(1, 2), cut, Entry("between", entry(4, "put between by another")), Entry("inner", inner)]
    bases = [Base(9, "mirror", merged), Base(9, "disk", saved)]
    made = plan(merged, bases, render(saved) + entry(5, "appended"))
    assert made.base == 1 and not made.deletes


def test_an_entry_without_a_word_is_no_sign_that_it_was_seen() -> None:
    seen = [*file_of(1), Entry("old", entry(2, "one two three"))]
    present = [*seen, Entry("empty", entry(2, "")), Entry("new", entry(3, "from an agent"))]
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(seen).replace("one", "ONE"))
    assert made.base == 1 and not made.deletes


def test_entries_of_the_same_second_are_not_taken_for_each_other() -> None:
    seen = file_of(1)
    present = [*seen, Entry("new", entry(2, "from an agent through the API"))]
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(seen) + entry(2, "appended by a program that knew nothing of it"))
    assert (made.base, made.edits, made.deletes, len(made.creates)) == (1, (), (), 1)


def test_a_line_that_an_agent_and_then_a_person_rewrote_is_the_persons() -> None:
    def state(words: str) -> list[Entry]:
        return [Entry("head", "# t\n\n", True), Entry("e", entry(1, f"status: {words}"))]

    bases = history(("mirror", state("blue")), ("mirror", state("green, done by agent")))
    assert "status: closed\n" in after(state("green, done by agent"), bases, render(state("closed")))


def test_who_puts_words_behind_a_line_has_not_replaced_others_that_somebody_put_there() -> None:
    def state(words: str) -> list[Entry]:
        return [Entry("head", f"buy milk and bread{words}\n", True)]

    bases = history(("disk", state("")), ("mirror", state(" for the neighbours too")))
    saved = render(state(", but ring the plumber about the tap first"))
    assert plan(state(" for the neighbours too"), bases, saved).base == 1


def test_words_put_behind_a_line_by_an_agent_and_reworded_by_a_person_are_the_persons() -> None:
    def state(words: str) -> list[Entry]:
        return [Entry("head", f"buy milk and bread{words}\n", True)]

    bases = history(("disk", state("")), ("mirror", state(" for the neighbours too")))
    saved = render(state(" for both neighbours too"))
    assert after(state(" for the neighbours too"), bases, saved) == saved


def test_a_line_with_many_words_put_behind_it_was_seen() -> None:
    seen = [Entry("head", "buy milk and bread", True)]
    bases = history(("mirror", []), ("mirror", seen))
    made = plan(seen, bases, "buy milk and bread, but ring the plumber about the tap in the kitchen upstairs first")
    assert ([edit.document for edit in made.edits], made.creates) == (["head"], ())


@pytest.mark.parametrize("mine", ["", "my own words instead\n"])
def test_who_keeps_one_of_two_lines_that_an_agent_put_in_has_read_the_other(mine: str) -> None:
    before = "# t\n\nsome words of mine\n"
    first, second = "a first line that an agent has put in, which is the longer one\n", "and a second that is shorter\n"
    present = [Entry("head", before + first + second, True)]
    bases = history(("disk", [Entry("head", before, True)]), ("mirror", present))
    assert after(present, bases, before + mine + second) == before + mine + second


def test_who_keeps_a_line_of_a_note_that_came_to_their_own_has_read_the_rest() -> None:
    mine = Entry("mine", "a note of mine about baking bread\n", True)
    theirs = Entry("theirs", "".join(f"their {n}. line, of how a boat is sailed out to sea\n" for n in range(5)), True)
    bases = history(("disk", [mine]), ("mirror", [theirs, mine]))
    saved = theirs.text.splitlines(keepends=True)[0] + mine.text
    assert after([theirs, mine], bases, saved) == saved


WORDS = st.lists(st.sampled_from("a b c d e".split()), max_size=6).map(" ".join)


@given(WORDS, WORDS, WORDS)
def test_a_text_that_leads_to_another_has_nothing_that_the_other_lacks_and_the_first_had_not(
    old: str, middle: str, new: str
) -> None:
    put = Counter(middle.split()) - Counter(old.split())
    if is_between(old, middle, new):
        assert put <= Counter(new.split())


def test_a_text_leads_to_one_that_goes_on_with_it_and_to_none_that_merely_looks_so() -> None:
    assert is_between("deploy\n", "deploy now\n", "deploy now and here\n")
    assert is_between("deploy\n", "deploy now\n", "deploy now\n")
    assert not is_between("deploy\n", "deploy a\n", "deploy banana\n")
    assert not is_between("deploy it\n", "deploy\n", "deploy it now\n")


def test_in_a_long_text_only_the_lines_that_differ_are_compared() -> None:
    lines = [f"line {n} of a long note\n" for n in range(5000)]
    old, middle, new = ("".join([*lines, end, *lines]) for end in ("deploy\n", "deploy now\n", "deploy now here\n"))
    assert is_between(old, middle, new) and not is_between(old, new, middle)

"""What a save means: what changed in it, which entries are the same, and what others wrote meanwhile stays."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.vault.choosing import Base, Entry, render
from hiveminddb.vault.reconcile import plan
from tests.vault.applied import applied
from tests.vault.saved import after, entries_of, entry, file_of, history

HEADS = st.sampled_from(["", "# t\n\n", "---\na: 1\n---\n# t\n", "just prose", "\ufeff# x\r\n"])


BODIES = st.sampled_from(
    [
        "",
        "\n",
        "\n\n",
        "\nfoo\n\n",
        "\nbar\nbaz\n",
        "\n```\ncode\n",
        "\n```\nx\n```\n",
        "\r\ncrlf\r\n",
        "\nno end",
        "\n~~~\n",
    ]
)


TIMES = st.sampled_from(["2024-01-01", "2024-01-01 10:00:00 UTC", "2024-01-02 10:00:00 UTC", "2024-01-03 Meeting"])


ENTRY_TEXTS = st.builds(lambda time, body: f"## {time}{body or chr(10)}", TIMES, BODIES)


ODD_TEXTS = st.sampled_from(["", "loose text\n", "loose", "## 2024-02-01\na\n## 2024-02-02\nb\n", "\n"])


FRAGMENTS = st.one_of(ENTRY_TEXTS, ODD_TEXTS, HEADS, st.text(alphabet="ab#`~-\n\r \x00é", max_size=12))


def files() -> st.SearchStrategy[list[Entry]]:
    entries = st.lists(st.one_of(ENTRY_TEXTS, ENTRY_TEXTS, ODD_TEXTS), max_size=6)
    return st.builds(lambda head, rest: entries_of([head, *rest]), HEADS, entries)


@st.composite
def saves(draw: st.DrawFn) -> tuple[list[Entry], str]:
    """A file and what somebody made of it."""
    known = draw(files())
    texts = [entry.text for entry in known]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(texts)))
        what = draw(st.sampled_from(["insert", "remove", "move", "duplicate"]))
        if what == "insert":
            texts.insert(at, draw(FRAGMENTS))
        elif texts:
            taken = texts[at - 1] if what == "duplicate" else texts.pop(at - 1)
            texts[at:at] = [] if what == "remove" else [taken]
    text = render([Entry("", part) for part in texts])
    for _ in range(draw(st.integers(0, 2))):
        a, b = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        text = text[:a] + draw(FRAGMENTS) + text[min(b, a + draw(st.integers(0, 9))) :]
    return known, text


@settings(max_examples=1500)
@given(saves())
def test_a_plan_applied_to_its_base_is_the_file_again(save: tuple[list[Entry], str]) -> None:
    known, text = save
    made = plan(known, [Base(1, "mirror", known)], text)
    result = applied(made, known, [])
    if not text.strip(" \t\r\n") and text != render(known):
        assert not render(result)
        return
    again = render(result)
    # A line feed is put in where an entry was appended right behind a last line without one.
    assert again == text or again.replace("\n", "") == text.replace("\n", "") and len(again) == len(text) + 1
    placed = [item for item in made.order if isinstance(item, str)]
    assert len(placed) == len(set(placed))
    assert set(made.deletes) <= {entry.document for entry in known}
    assert not set(made.deletes) & set(placed)


def test_moving_an_entry_inside_a_file_keeps_its_document() -> None:
    known = file_of(1, 2, 3)
    text = render([known[0], known[3], known[1], known[2]])
    made = plan(known, [Base(1, "mirror", known)], text)
    assert not made.creates and not made.edits and not made.deletes
    assert made.order == ("head", "day3", "day1", "day2") and made.moves == ("day3",)


def test_an_entry_moved_and_edited_keeps_its_document() -> None:
    known = file_of(1, 2, 3)
    text = render([known[0], Entry("", entry(3, "some words about this day, 3 and more")), known[1], known[2]])
    made = plan(known, [Base(1, "mirror", known)], text)
    assert [edit.document for edit in made.edits] == ["day3"] and made.moves == ("day3",)


def test_a_copy_of_an_entry_is_a_new_one_and_the_first_stays() -> None:
    known = file_of(1, 2)
    made = plan(known, [Base(1, "mirror", known)], render([*known, known[1]]))
    assert [create.text for create in made.creates] == [known[1].text]
    assert made.order == ("head", "day1", "day2", 0)


def test_of_two_equal_entries_each_keeps_its_place() -> None:
    known = [Entry("a", entry(1, "same")), Entry("b", entry(1, "same")), Entry("c", entry(2, "other"))]
    made = plan(known, [Base(1, "mirror", known)], render(known).replace("other", "another"))
    assert [edit.document for edit in made.edits] == ["c"] and made.order == ("a", "b", "c")


def test_a_changed_date_keeps_the_document() -> None:
    known = file_of(1, 2, 3)
    made = plan(
        known, [Base(1, "mirror", known)], render(known).replace("## 2024-01-02 10:00:00", "## 2024-05-02 11:11:11")
    )
    assert [edit.document for edit in made.edits] == ["day2"] and not made.creates and not made.deletes


def test_content_with_dated_headings_stays_one_document() -> None:
    known = [Entry("log", entry(1, "## 2023-01-01\na\n\n## 2023-01-02\nb")), Entry("next", entry(2, "x"))]
    text = render(known).replace("\nb", "\nb, edited")
    made = plan(known, [Base(1, "mirror", known)], text)
    assert [edit.document for edit in made.edits] == ["log"] and not made.creates and not made.deletes


def test_an_unclosed_code_fence_swallows_no_entry_below() -> None:
    known = file_of(1, 2, 3)
    typing = render(known).replace("day, 1", "day, 1\n\n```python\nx = 1").replace("day, 3", "day three")
    made = plan(known, [Base(1, "mirror", known)], typing)
    assert [edit.document for edit in made.edits] == ["day1", "day3"] and not made.deletes and not made.creates


def test_an_entry_appended_below_an_unclosed_code_fence_is_an_entry() -> None:
    known = [*file_of(1), Entry("open", entry(2, "```\ncode"))]
    made = plan(known, [Base(1, "mirror", known)], render(known) + entry(3, "appended"))
    assert [create.text for create in made.creates] == [entry(3, "appended")] and not made.edits


def test_an_entry_appended_below_a_line_that_was_put_below_an_unclosed_code_fence_is_an_entry() -> None:
    known = [*file_of(1), Entry("open", entry(2, "```\ncode"))]
    made = plan(known, [Base(1, "mirror", known)], render(known) + "a note\n" + entry(3, "appended"))
    assert [create.text for create in made.creates] == [entry(3, "appended")]
    assert [edit.new_text for edit in made.edits] == [entry(2, "```\ncode") + "a note\n"]


def test_an_entry_appended_right_behind_a_last_line_without_line_feed_is_an_entry() -> None:
    known = [Entry("a", "## 2024-01-01\n\nlast line")]
    made = plan(known, [Base(1, "disk", known)], "## 2024-01-01\n\nlast line" + entry(3, "appended"))
    assert not made.edits
    assert [create.text for create in made.creates] == [entry(3, "appended")]
    assert render(applied(made, known, [])) == "## 2024-01-01\n\nlast line\n" + entry(3, "appended")


def test_an_entry_appended_behind_a_last_line_without_line_feed_and_then_edited_is_one_entry() -> None:
    first, news = Entry("a", "## 2024-01-01 10:00\n\nfirst"), Entry("b", "## 2024-01-02 10:00\n\nhow bread is baked\n")
    bases = history(("disk", [first]), ("mirror", [first, news]))
    glued = first.text + news.text.replace("how bread", "which wind carries a boat\n" * 5 + "how bread")
    made = plan([first, news], bases, glued)
    assert ([edit.document for edit in made.edits], made.creates) == (["b"], ())


def test_a_line_feed_that_rendering_put_in_is_no_edit() -> None:
    known = [Entry("a", "## 2024-01-01\n\nno end"), Entry("b", entry(2, "x"))]
    made = plan(known, [Base(1, "mirror", known)], render(known).replace("\nx", "\ny"))
    assert [edit.document for edit in made.edits] == ["b"]


def test_a_heading_that_only_a_byte_order_mark_stands_before_is_one() -> None:
    seen = [Entry("head", "\ufeff", True)]
    text = "\ufeff" + entry(1, "the first words")
    assert after(seen, history(("disk", seen)), text) == text


def test_an_emptied_file_deletes_all() -> None:
    known = file_of(1, 2)
    assert set(plan(known, [Base(1, "mirror", known)], "\n").deletes) == {"head", "day1", "day2"}


def test_an_entry_deleted_elsewhere_but_edited_here_is_edited_all_the_same() -> None:
    seen = file_of(1, 2)
    present = file_of(1)
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(seen).replace("day, 2", "day, 2, edited"))
    assert [edit.document for edit in made.edits] == ["day2"] and "day2" in made.order


def test_an_entry_cut_in_one_save_and_pasted_in_the_next_is_the_same_document() -> None:
    full, cut = file_of(1, 2, 3), file_of(1, 3)
    bases = history(("mirror", full), ("disk", cut))
    made = plan(cut, bases, render([*cut, full[2]]))
    assert [create.revives for create in made.creates] == ["day2"]


def test_without_bases_equal_entries_are_adopted_and_nothing_is_deleted() -> None:
    present = file_of(1, 2, 3)
    made = plan(present, [], render([*present[:2], Entry("", entry(7, "only here"))]))
    assert made.base == -1 and not made.deletes and not made.edits
    assert [create.text for create in made.creates] == [entry(7, "only here")]


def test_an_entry_appended_to_a_stale_end_follows_what_others_appended() -> None:
    seen, present = file_of(1), file_of(1, 2)
    bases = history(("mirror", seen), ("mirror", present))
    made = plan(present, bases, render(seen) + entry(3, "mine"))
    assert made.order == ("head", "day1", "day2", 0)


def test_a_new_head_stands_before_everything() -> None:
    known = file_of(1)[1:]
    made = plan(known, [Base(1, "mirror", known)], "# title\n\n" + render(known))
    assert made.order == (0, "day1") and made.creates[0].is_head


WORDS = st.text(alphabet="abcdefgh \n", min_size=5, max_size=40).map(lambda words: "zz " + words.strip())


@settings(max_examples=300)
@given(st.lists(WORDS, min_size=2, max_size=6, unique=True), st.data())
def test_edits_of_different_entries_from_a_stale_buffer_and_a_peer_both_survive(
    bodies: list[str], data: st.DataObject
) -> None:
    seen = [Entry(f"d{i}", entry(i + 1, body)) for i, body in enumerate(bodies)]
    mine = data.draw(st.integers(0, len(seen) - 1))
    theirs = data.draw(st.integers(0, len(seen) - 1).filter(lambda i: i != mine))
    present = list(seen)
    present[theirs] = Entry(f"d{theirs}", entry(theirs + 1, bodies[theirs] + " written by a peer"))
    present.append(Entry("added", entry(20, "an entry added by an agent")))
    saved = list(seen)
    saved[mine] = Entry(f"d{mine}", entry(mine + 1, bodies[mine] + " mine"))
    bases = history(("mirror", seen), ("mirror", present[:-1]), ("mirror", present))
    made = plan(present, bases, render(saved))
    assert made.base == 2
    assert [edit.document for edit in made.edits] == [f"d{mine}"]
    assert not made.deletes


@settings(max_examples=500)
@given(saves(), saves())
def test_no_plan_deletes_a_document_that_is_not_in_its_base(
    one: tuple[list[Entry], str], other: tuple[list[Entry], str]
) -> None:
    older = [Entry("x" + entry.document, entry.text, entry.is_head) for entry in one[0]]
    present = [*other[0], *older[:2]]
    bases = history(("mirror", older), ("disk", other[0]), ("mirror", present))
    for text in (one[1], other[1]):
        for unread in (False, True):
            made = plan(present, bases, text, unread=unread)
            base = {entry.document for entry in bases[made.base].entries}
            assert set(made.deletes) <= base & {entry.document for entry in present}
            kept = {entry.document for entry in present} - set(made.deletes)
            assert kept <= set(made.order)
            assert len(set(made.order)) == len(made.order)

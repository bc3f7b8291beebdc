"""A renamed file is told from a removed one and a new one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.vault.files import digest_of
from hiveminddb.vault.renames import Seen, moved_on, pair

PROSE = "the quick brown fox jumps over the lazy dog and runs away into the dark forest\n" * 3


def seen(topic: str, text: str, inode: int = 0) -> Seen:
    return Seen(topic, inode, digest_of(text), text)


def test_the_same_inode_is_the_same_file_even_edited() -> None:
    assert pair([seen("a", PROSE, 7)], [seen("b", PROSE + "more", 7), seen("c", PROSE, 8)]) == {"a": "b"}


def test_a_reused_inode_with_an_unrelated_text_is_another_file() -> None:
    assert pair([seen("a", PROSE, 7)], [seen("b", "1234567890 " * 9, 7)]) == {}


def test_the_same_text_is_the_same_file() -> None:
    assert pair([seen("a", PROSE, 7)], [seen("b", "x", 9), seen("c", PROSE, 8)]) == {"a": "c"}


def test_of_equal_texts_the_one_of_the_same_name_is_meant() -> None:
    assert pair([seen("a/x", PROSE)], [seen("b/y", PROSE), seen("b/x", PROSE)]) == {"a/x": "b/x"}


def test_a_text_much_alike_is_the_same_file() -> None:
    assert pair([seen("a", PROSE)], [seen("b", "other " * 30), seen("c", PROSE.replace("fox", "wolf"))]) == {"a": "c"}
    assert pair([seen("a", PROSE)], [seen("b", "completely unrelated words about databases\n" * 4)]) == {}


def meeting(number: int, more: str = "") -> str:
    return f"# Meeting {number}\n\nWe met at {number + 1000} with person{number}, and spoke of the harvest.\n{more}"


def test_many_files_renamed_and_edited_are_told_by_the_words_that_each_alone_has() -> None:
    olds = [seen(f"old/{number}", meeting(number), number) for number in range(100)]
    news = [seen(f"new/{number}", meeting(number, "They agreed.\n"), 1000 + number) for number in range(100)]
    assert pair(olds, news[::-1]) == {f"old/{number}": f"new/{number}" for number in range(100)}


def test_of_many_files_those_that_moved_on_edited_are_found() -> None:
    known = [seen(f"{number}", meeting(number), number + 1) for number in range(100)]
    now = [seen(f"{number}", "1234567890 " * 9, 1000 + number) for number in range(100)]
    new = [seen(f"new/{number}", meeting(number, "They agreed.\n"), 2000 + number) for number in range(100)]
    assert moved_on(list(zip(known, now, strict=True)), [], new) == known


def test_empty_files_are_nobody() -> None:
    assert pair([seen("a", "")], [seen("b", "")]) == {}


OTHER = "1234567890 " * 20


def test_a_file_whose_name_another_has_taken_has_moved_on() -> None:
    b, c = seen("b", OTHER, 2), seen("c", PROSE.upper(), 3)
    moved = moved_on(
        [(b, seen("b", PROSE, 1)), (c, seen("c", OTHER, 2))], [seen("a", PROSE, 1)], [seen("d", PROSE.upper(), 3)]
    )
    assert moved == [c, b]


def test_a_file_that_was_kept_aside_and_edited_has_not_moved_on() -> None:
    old = seen("b", PROSE, 2)
    assert moved_on([(old, seen("b", PROSE + "more", 9))], [], [seen("b before", PROSE, 2)]) == []
    assert moved_on([(old, seen("b", OTHER, 9))], [], [seen("b before", PROSE, 2)]) == [old]


def test_a_new_file_with_the_number_of_one_that_was_replaced_is_not_that_one() -> None:
    assert moved_on([(seen("b", PROSE, 2), seen("b", OTHER, 1))], [seen("a", OTHER, 1)], [seen("c", OTHER, 2)]) == []


def test_two_files_that_exchanged_their_names_have_moved_on_and_one_that_was_put_in_place_of_another_has_not() -> None:
    a, b = seen("a", PROSE, 1), seen("b", OTHER, 2)
    assert moved_on([(a, seen("a", OTHER, 2)), (b, seen("b", PROSE, 1))], [], [seen("c", "else", 3)]) == [a, b]
    assert moved_on([(a, seen("a", "else", 3)), (b, seen("b", PROSE, 1))], [], []) == []


def test_a_file_that_got_much_more_text_with_its_new_name_is_the_same_file() -> None:
    more = "".join(f"{n} pages about sailing boats and the wind that carries them\n" for n in range(20))
    assert pair([seen("a", PROSE, 1)], [seen("b", PROSE + more, 2)]) == {"a": "b"}
    assert pair([seen("a", "# todo\n", 1)], [seen("b", "# todo\n" + more, 2)]) == {}
    assert pair([seen("a", PROSE, 1)], [seen("b", more, 2)]) == {}


TEXTS = st.sampled_from(["", PROSE, PROSE.upper(), PROSE + "x", "short"])


@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 3)), max_size=5), st.lists(st.tuples(TEXTS, st.integers(0, 3)), max_size=5)
)
def test_every_file_is_paired_once_at_most(olds: list[tuple[str, int]], news: list[tuple[str, int]]) -> None:
    pairs = pair(
        [seen(f"old{i}", text, inode) for i, (text, inode) in enumerate(olds)],
        [seen(f"new{i}", text, inode) for i, (text, inode) in enumerate(news)],
    )
    assert len(set(pairs.values())) == len(pairs)


def test_a_folder_that_comes_as_a_whole_is_not_compared_with_anything() -> None:
    new = [Seen(f"{number}", number, f"{number}", f"the text of note {number}") for number in range(1, 5)]
    assert moved_on([], [], new) == []
    assert not any("fingerprints" in vars(it) for it in new)

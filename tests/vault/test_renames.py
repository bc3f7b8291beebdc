"""A renamed file is told from a removed one and a new one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.vault.files import digest_of
from hiveminddb.vault.renames import Seen, pair

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


def test_empty_files_are_nobody() -> None:
    assert pair([seen("a", "")], [seen("b", "")]) == {}


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

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.daemon.embedding.passages import cut, spans

sizes = st.integers(4, 300).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size // 2)))


@given(st.integers(0, 5000), sizes)
def test_passages_cover_the_text_without_exceeding_the_window(length: int, shape: tuple[int, int]) -> None:
    size, overlap = shape
    found = spans(length, size, overlap, limit=10_000)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start <= size for start, end in found)
    assert all(left[1] - right[0] == overlap for left, right in zip(found, found[1:], strict=False))


@given(st.integers(0, 50_000), sizes, st.integers(1, 20))
def test_a_text_never_has_more_passages_than_the_limit(length: int, shape: tuple[int, int], limit: int) -> None:
    found = spans(length, *shape, limit=limit)
    assert 1 <= len(found) <= limit
    assert all(0 <= start <= end <= length for start, end in found)


def test_a_text_just_over_the_window_becomes_two_halves() -> None:
    assert spans(260, 256, 32) == [(0, 146), (114, 260)]


@given(st.text(alphabet="ab \n日", max_size=2000), sizes)
def test_every_character_is_in_a_passage_when_cut_at_blanks(text: str, shape: tuple[int, int]) -> None:
    size, overlap = shape
    passages = cut(text, size, overlap, limit=10_000)
    assert all(len(passage) <= size for passage in passages)
    at = 0
    for passage in passages:
        # Of places where a repeated text can be, the last that leaves nothing out.
        begin = text.rfind(passage, 0, at + len(passage))
        assert 0 <= begin <= at
        at = max(at, begin + len(passage))
    assert at == len(text)


def test_passages_are_cut_between_words_where_a_blank_is_near() -> None:
    words = {f"word{number}" for number in range(500)}
    text = " ".join(sorted(words))
    assert all(set(passage.split()) <= words for passage in cut(text, 1000, 100))

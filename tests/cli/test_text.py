from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.cli.text import cut, one_line, pad, visible, width, wrap


def test_wide_characters_take_two_cells_and_marks_none() -> None:
    assert width("abc") == 3
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert width("❤\ufe0f") == 2


def test_a_cut_text_fits_and_says_that_something_is_missing() -> None:
    assert cut("hello", 5) == "hello"
    assert cut("hello!", 5) == "hell…"
    assert cut("日本語", 4) == "日…"


def test_padding_counts_cells() -> None:
    assert pad("日", 4) == "日  "


@given(st.text(), st.integers(1, 40))
def test_no_text_is_cut_to_more_than_its_limit(text: str, limit: int) -> None:
    assert width(cut(text, limit)) <= max(limit, 1)


@given(st.text(alphabet="ab 日\n", max_size=200), st.integers(2, 20))
def test_wrapped_lines_fit_and_lose_no_word(text: str, limit: int) -> None:
    lines = wrap(text, limit)
    assert all(width(line) <= limit for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_terminal_controls_become_signs() -> None:
    assert visible("\x1b[31mred\x07\x9b0m") == "␛[31mred␇\\x9b0m"
    assert visible("a\r\nb\tc") == "a\nb    c"
    assert visible("over\u202ewritten") == "over\\u202ewritten"
    assert visible("\ud800") == "\\ud800"
    assert visible("plain ünïcödé 日本 ❤") == "plain ünïcödé 日本 ❤"


@given(st.text())
def test_nothing_visible_can_steer_a_terminal(text: str) -> None:
    assert not any(ord(char) < 32 and char != "\n" or 0x7F <= ord(char) < 0xA0 for char in visible(text))


def test_one_line_has_no_line_ends() -> None:
    assert one_line(" a\n b\r\n\tc ") == "a b c"

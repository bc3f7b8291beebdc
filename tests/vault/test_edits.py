"""Edits say what they expect, and are refused when it is not there."""

from __future__ import annotations

import pytest

from hiveminddb.errors import Conflict, InvalidInput
from hiveminddb.vault.edits import append, replace_once, replace_section


@pytest.mark.parametrize(
    ("content", "addition", "result"),
    [
        ("a", "b", "a\n\nb"),
        ("a\n", "\nb\n", "a\n\nb"),
        ("", "b", "b"),
        ("a", " ", "a"),
        ("- a", "- b", "- a\n- b"),
        ("1. a", "2. b", "1. a\n2. b"),
        ("- a", "b", "- a\n\nb"),
        ("a\r\nb", "c", "a\r\nb\r\n\r\nc"),
    ],
)
def test_more_is_a_new_paragraph_or_the_next_item(content: str, addition: str, result: str) -> None:
    assert append(content, addition) == result


def test_what_is_there_once_is_replaced() -> None:
    assert replace_once("a b c", "b", "x") == "a x c"
    assert replace_once("a\r\nb", "a\nb", "c\nd") == "c\r\nd"


@pytest.mark.parametrize(("old", "message"), [("x", "not found"), ("a", "3 times"), ("aa", "2 times")])
def test_what_is_not_there_exactly_once_is_refused(old: str, message: str) -> None:
    with pytest.raises(Conflict, match=message):
        replace_once("aaa", old, "y")


def test_nothing_cannot_be_replaced() -> None:
    with pytest.raises(InvalidInput):
        replace_once("a", "", "b")


SECTIONS = "intro\n\n# One\n\na\n\n## Two ##\n\nb\n\n```\n# Two\n```\n\n# Three\n\nc"


def test_a_section_ends_at_the_next_heading_of_its_level_or_above() -> None:
    assert replace_section(SECTIONS, "two", "B") == "intro\n\n# One\n\na\n\n## Two ##\n\nB\n\n# Three\n\nc"
    assert replace_section(SECTIONS, "# One", "A") == "intro\n\n# One\n\nA\n\n# Three\n\nc"
    assert replace_section(SECTIONS, "Three", "C").endswith("# Three\n\nC")


@pytest.mark.parametrize("heading", ["Four", "# Two", ""])
def test_a_section_that_is_not_there_is_refused(heading: str) -> None:
    with pytest.raises(Conflict):
        replace_section(SECTIONS, heading, "x")

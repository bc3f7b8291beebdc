"""What people mark in their text is found, and what only looks like it in code is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.vault.marks import MAX_FRONT_MATTER, Observation, Relation, front_matter, marks, without_code


def test_tags_links_relations_and_observations_are_found() -> None:
    text = (
        "# Title\n\nsee [[Other Note|that]] and [[Place#part]] #big/idea (#two), x#no #123\n"
        "- uses [[Postgres]] (since May)\n- [decision] keep it small #why\n- [ ] todo\n- [x] done\n- [a](http://x/#f)\n"
    )
    found = marks(text)
    assert found.tags == ("big/idea", "two", "why")
    assert found.links == ("Other Note", "Place", "Postgres")
    assert found.relations == (Relation("uses", "Postgres"),)
    assert found.observations == (Observation("decision", "keep it small #why"),)


def test_code_and_front_matter_mark_nothing() -> None:
    text = "---\nx: '#a [[b]]'\n---\n`#c` ``[[d]]``\n\n```\n#e\n- [f] g\n```\n~~~\n[[h]]\n"
    assert marks(text) == marks("")


@given(st.text(alphabet="`~#a [\n", max_size=80))
def test_blanking_code_keeps_length_and_lines(text: str) -> None:
    blanked = without_code(text)
    assert len(blanked) == len(text)
    assert [i for i, c in enumerate(blanked) if c == "\n"] == [i for i, c in enumerate(text) if c == "\n"]


def test_front_matter_is_plain_values() -> None:
    found = front_matter("\ufeff---\r\nuser: ana\r\ntags: [a, b]\r\nday: 2024-01-02\r\nn: {x: 1}\r\n---\r\ntext\r\n")
    assert found.error is None
    assert found.values == {"user": "ana", "tags": ["a", "b"], "day": "2024-01-02", "n": {"x": 1}}


@pytest.mark.parametrize(
    "text", ["", "text", "---\n---\n", "---\n# comment\n---\n", "---\nno end\n", " ---\na: 1\n---\n"]
)
def test_no_front_matter_is_no_error(text: str) -> None:
    assert front_matter(text).values == {} and front_matter(text).error is None


@pytest.mark.parametrize(
    "yaml",
    [
        "a: [",
        "- a\n- b",
        "just text",
        "a: &x 1\nb: *x",
        "d: 2024-13-45",
        "a: !!python/object:os.system x",
        "[" * 5000,
        "{a: b}: c",
    ],
)
def test_front_matter_that_cannot_be_read_says_so(yaml: str) -> None:
    found = front_matter(f"---\n{yaml}\n---\n")
    assert found.error and not found.values


def test_endless_front_matter_is_not_parsed() -> None:
    assert front_matter("---\n" + "a: 1\n" * MAX_FRONT_MATTER + "---\n").error


@given(st.text())
def test_no_front_matter_raises(yaml: str) -> None:
    front_matter(f"---\n{yaml}\n---\n")


def test_hostile_lines_take_no_time() -> None:
    for text in (
        "- " + "a " * 300_000,
        "`" * 500_000 + "a",
        "[[" * 300_000,
        "#" + "1" * 500_000,
        "- [" * 200_000,
        "`a``b" * 100_000,
    ):
        marks(text)

"""Entries begin at dated headings, and no character is ever lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.vault import markdown

LINES = st.sampled_from(
    [
        "## 2024-01-01",
        "## 2024-01-01 10:00:00 UTC",
        "## 2024-13-45",
        "##  2024-05-05 x",
        "# title",
        "---",
        "a: 1",
        "```",
        "```py",
        "~~~",
        "````",
        "    ```",
        "text",
        "",
        "\ufeff## 2024-02-02",
        "\x00",
        "## other",
        " ## 2024-01-01",
    ]
)
TEXTS = st.one_of(
    st.text(),
    st.builds(
        lambda lines, ends: "".join(a + b for a, b in zip(lines, ends, strict=False)),
        st.lists(LINES, max_size=12),
        st.lists(st.sampled_from(["\n", "\n", "\r\n", "\r", ""]), min_size=12, max_size=12),
    ),
)


@settings(max_examples=1000)
@given(TEXTS)
def test_spans_joined_are_the_text(text: str) -> None:
    spans = markdown.split(text)
    assert "".join(span.text for span in spans) == text
    assert all(span.text for span in spans)
    assert all(span.is_head == (span.heading is None) for span in spans)
    assert not any(span.is_head for span in spans[1:])


@given(TEXTS)
def test_an_entry_cut_out_is_the_same_entry_alone(text: str) -> None:
    for span in markdown.split(text):
        if not span.is_head:
            assert markdown.split(span.text) == [span]


@given(TEXTS)
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(markdown.pieces(text)) == text


@pytest.mark.parametrize(
    ("heading", "at"),
    [
        ("## 2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
        ("## 2024-05-01 10:20", datetime(2024, 5, 1, 10, 20, tzinfo=UTC)),
        ("## 2024-05-01 10:20:30", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("## 2024-05-01T10:20:30Z", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("## 2024-05-01 10:20:30 UTC", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("## 2024-05-01 10:20:30 UTC\r\n", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("## 2024-05-01 10:20 +02:00", datetime(2024, 5, 1, 8, 20, tzinfo=UTC)),
        ("## 2024-05-01T10:20:30.25+0200 call", datetime(2024, 5, 1, 8, 20, 30, 250_000, tzinfo=UTC)),
        ("## 2024-05-01 Meeting", datetime(2024, 5, 1, tzinfo=UTC)),
        ("## 2024-05-01, Meeting", datetime(2024, 5, 1, tzinfo=UTC)),
        ("\ufeff## 2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
        ("## 2024-13-45", None),
        ("## 2024-02-30 10:00", None),
        ("## 2024-05-011", None),
        ("### 2024-05-01", None),
        ("# 2024-05-01", None),
        ("##2024-05-01", None),
        ("## 24-05-01", None),
        ("## 0001-01-01 00:00 +02:00", None),
        ("## ٢٠٢٤-05-01", None),
    ],
)
def test_a_dated_heading_says_when(heading: str, at: datetime | None) -> None:
    assert markdown.heading_time(heading) == at


def test_headings_inside_code_fences_do_not_count() -> None:
    text = "# t\n\n```\n## 2024-01-01\n```\n## 2024-01-02\n~~~~ md\n## 2024-01-03\n~~~\n~~~~\n## 2024-01-04\n"
    assert [span.heading.day for span in markdown.split(text) if span.heading] == [2, 4]


def test_a_fence_needs_its_own_kind_and_length_to_close() -> None:
    text = "````\n```\n## 2024-01-01\n````\n## 2024-01-02\n``` `` not a fence\n## 2024-01-03\n"
    assert [span.heading.day for span in markdown.split(text) if span.heading] == [2, 3]


def test_front_matter_counts_at_the_very_start_only() -> None:
    assert len(markdown.split("---\n## 2024-01-01\n---\n## 2024-01-02\n")) == 2
    assert len(markdown.split("x\n---\n## 2024-01-01\n---\n## 2024-01-02\n")) == 3
    assert markdown.split("---\n## 2024-01-01\n")[1].heading


def test_a_file_by_agent_memory_is_a_head_and_its_entries() -> None:
    text = "# topic\n\n## 2024-01-01 10:00:00 UTC\n\nfoo\n\n## 2024-01-01 10:00:00 UTC\n\nbar\n\n"
    spans = markdown.split(text)
    assert [markdown.body(span.text, span.is_head) for span in spans] == [(0, 7), (28, 31), (28, 31)]
    assert not markdown.has_prose(spans[0].text)


CONTENTS = st.text(alphabet="ab #-\n\r\t \x00é`", max_size=30)


@given(CONTENTS, st.sampled_from(["\n", "\r\n"]))
def test_content_put_into_an_entry_is_read_back(content: str, newline: str) -> None:
    made = markdown.entry(datetime(2024, 1, 1, tzinfo=UTC), content, newline)
    start, end = markdown.body(made, is_head=False)
    read = made[start:end]
    assert read.replace("\r\n", "\n") == markdown.trimmed(content).replace("\r\n", "\n")


@given(TEXTS, CONTENTS)
def test_other_content_leaves_the_rest_of_the_span(text: str, content: str) -> None:
    for span in markdown.split(text):
        start, end = markdown.body(span.text, span.is_head)
        assert 0 <= start <= end <= len(span.text)
        made = markdown.with_body(span.text, span.is_head, content)
        # A heading that loses its title loses what led to it, too.
        assert made.startswith(span.text[:start].rstrip(" \t-–—:,|"))
        assert made.endswith(span.text[end:])
        if not span.is_head:
            assert markdown.heading_time(made) == span.heading
            a, b = markdown.body(made, is_head=False)
            assert made[a:b].replace("\r\n", "\n") == markdown.trimmed(content).replace("\r\n", "\n")


def test_content_keeps_the_indentation_of_its_first_line() -> None:
    made = markdown.entry(datetime(2024, 1, 1, tzinfo=UTC), "\n    code\n")
    start, end = markdown.body(made, is_head=False)
    assert made[start:end] == "    code"


def test_content_of_a_file_with_crlf_stays_crlf() -> None:
    span = "## 2024-01-01\r\n\r\nfoo\r\n"
    assert markdown.with_body(span, False, "a\nb") == "## 2024-01-01\r\n\r\na\r\nb\r\n"


def test_an_empty_entry_can_be_filled() -> None:
    assert markdown.with_body("## 2024-01-01", False, "x") == "## 2024-01-01\n\nx\n\n"
    assert markdown.with_body("## 2024-01-01\n\n", False, "x") == "## 2024-01-01\n\nx\n\n"


@pytest.mark.parametrize(
    ("head", "prose"),
    [("# t\n\n", False), ("---\na: 1\n---\n# t\n", False), ("", False), ("# t\n\nsome\n", True), ("some\n", True)],
)
def test_a_head_has_prose_when_it_says_more_than_its_title(head: str, prose: bool) -> None:
    assert markdown.has_prose(head) is prose


def test_the_rest_of_a_dated_heading_is_its_title() -> None:
    assert markdown.title("## 2024-01-01 10:00 UTC Meeting with Bo\n\nx") == "Meeting with Bo"
    assert markdown.title("## 2024-01-01 10:00:00 UTC\n") == ""


def test_what_a_dated_heading_says_is_the_first_line_of_the_content() -> None:
    text = "## 2024-05-01 10:00 UTC - Meeting with Ada\n\nWe chose SQLite.\n\n"
    start, end = markdown.body(text, is_head=False)
    assert text[start:end] == "Meeting with Ada\n\nWe chose SQLite."
    assert markdown.with_body(text, False, "Meeting with Ada\n\nWe chose DuckDB.") == text.replace("SQLite", "DuckDB")


def test_content_that_drops_the_title_does_not_become_one() -> None:
    made = markdown.with_body("## 2024-05-01 Meeting\n\nWe chose SQLite.\n", False, "We chose DuckDB.")
    assert made == "## 2024-05-01\n\nWe chose DuckDB.\n"


def test_a_file_has_the_title_of_its_first_line() -> None:
    assert markdown.head_title("---\ntags: [a]\n---\n\n# Garden \n\nx") == "Garden"
    assert markdown.head_title("no title") == ""

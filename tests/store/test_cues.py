from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.store.cues import (
    embedding_text,
    ends_in_question,
    has_name,
    index_text,
    is_identifier,
    legible,
    lookup_text,
    query_text,
    read_query,
)
from hiveminddb.store.dates import Period, periods


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def between(start: str, end: str) -> tuple[Period, ...]:
    return (Period(at(start), at(end)),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2023-07-04", between("2023-07-04", "2023-07-05")),
        ("4th of July 2023", between("2023-07-04", "2023-07-05")),
        ("July 4, 2023", between("2023-07-04", "2023-07-05")),
        ("in December 2023", between("2023-12-01", "2024-01-01")),
        ("2023-02", between("2023-02-01", "2023-03-01")),
        ("back in 2021", between("2021-01-01", "2022-01-01")),
        ("Feb 29, 2024", between("2024-02-29", "2024-03-01")),
        ("in July", (Period(month=7),)),
        ("12 May", (Period(month=5, day=12),)),
        ("in May", (Period(month=5),)),
        ("what may I do", ()),
        ("a march in the rain", ()),
        ("error 20231 on port 1999x", ()),
        ("yesterday", ()),
    ],
)
def test_dates_are_read(text: str, expected: tuple[Period, ...]) -> None:
    assert periods(text) == expected


def test_a_date_that_is_none_is_no_error() -> None:
    assert all(period.end > period.start or period.month for period in periods("2023-13-44, 31 February 2023, 99 June"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yesterday", between("2025-03-11", "2025-03-12")),
        ("what was today", between("2025-03-12", "2025-03-13")),
        ("last week", between("2025-03-03", "2025-03-10")),
        ("last month", between("2025-02-01", "2025-03-01")),
        ("this year", between("2025-01-01", "2026-01-01")),
        ("two days ago", between("2025-03-10", "2025-03-11")),
    ],
)
def test_words_of_time_are_read_from_now(text: str, expected: tuple[Period, ...]) -> None:
    assert periods(text, at("2025-03-12T10:00:00")) == expected


@given(st.text(max_size=200), st.integers(0, 4_000_000_000_000_000))
def test_any_text_can_be_read_for_dates(text: str, now: int) -> None:
    assert periods(text, now) == periods(text, now)


def test_stop_words_and_names_are_left_out() -> None:
    cues = read_query("When did Caroline's sister go to Paris?", {"caroline"})
    assert (cues.text, cues.names, cues.asks_when) == ("sister go Paris", ("caroline",), True)


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [
        ("How many cats are there?", True, False),
        ("how long ago", False, False),
        ("Where is the server?", False, True),
        ("What country is she from?", False, True),
        ("What is the book called?", False, True),
        ("many cats", False, False),
        ("nowhere", False, False),
    ],
)
def test_the_kind_of_answer_is_read_from_the_question(text: str, number: bool, name: bool) -> None:
    cues = read_query(text, set())
    assert (cues.asks_number, cues.asks_name) == (number, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("we went to Rome", True), ("Well, Ann did", True), ("We went. There", False), ("so do I", False), ("", False)],
)
def test_a_name_is_a_word_written_large_inside_a_sentence(text: str, expected: bool) -> None:
    assert has_name(text) is expected


def test_what_has_nothing_but_names_or_stop_words_keeps_them() -> None:
    assert read_query("Caroline?", {"caroline"}).text == "Caroline"
    assert read_query("who is it", set()).text == "who is it"


def test_a_name_that_is_a_common_word_counts_only_written_large() -> None:
    assert read_query("will it rain", {"will"}).names == ()
    assert read_query("did Will call", {"will"}).names == ("will",)


def test_the_query_is_embedded_without_known_names() -> None:
    assert query_text("What did Caroline's sister say?", {"caroline"}) == "What did sister say?"
    assert query_text("Caroline", {"caroline"}) == "Caroline"
    assert query_text("What did Dave say?", {"caroline"}) == "What did Dave say?"


def test_a_memory_is_embedded_without_its_speaker() -> None:
    assert embedding_text("Caroline: thanks, Mel!", "Caroline") == "thanks, Mel!"
    assert embedding_text("caroline : thanks", "Caroline") == "thanks"
    assert embedding_text("Caroline thanks", "Caroline") == "Caroline thanks"
    assert embedding_text("Caroline:", "Caroline") == "Caroline:"
    assert embedding_text("Note: thanks", None) == "Note: thanks"


@pytest.mark.parametrize("chunk", ["ERR_42", "src/a.py", "v1.2.3", "8f3c2ad", "camelCase", "CN-2025-0092", "10.0.4.21"])
def test_identifiers_are_known_from_words(chunk: str) -> None:
    assert is_identifier(chunk)


@pytest.mark.parametrize("chunk", ["word", "19th", "2023", "well-known", "I", "Paris", "1990s"])
def test_words_are_no_identifiers(chunk: str) -> None:
    assert not is_identifier(chunk)


def test_quoted_words_and_identifiers_are_phrases() -> None:
    assert read_query('the "blue door" in src/door.py', set()).phrases == ("blue door", "src/door.py")


def test_a_question_is_known_by_its_end() -> None:
    assert ends_in_question("Shall we?")
    assert ends_in_question("行きますか？ ")
    assert ends_in_question("Like it? [image: a red car]")
    assert not ends_in_question("Why? Because.")
    assert not ends_in_question("")


def test_scripts_without_spaces_become_pairs() -> None:
    assert index_text("plain text") == "plain text"
    assert index_text("東京都 ok").split() == ["東", "東京", "京", "京都", "都", "ok"]
    assert lookup_text("東京都").split() == ["東京", "京都"]
    assert lookup_text("東").split() == ["東"]


@given(st.text(max_size=300))
def test_every_text_can_be_understood(text: str) -> None:
    text = legible(text)
    read_query(text, {"ann"}, now=0)
    query_text(text, {"ann"})
    embedding_text(text, "ann")
    legible(index_text(text))


@pytest.mark.parametrize(
    "text", ["_" * 8000, "a." * 4000, "1" * 8000, "[" * 8000, '"' * 8000, "20" * 4000, "May " * 2000]
)
def test_a_text_made_to_be_hard_is_read_like_any_other(text: str) -> None:
    read_query(text, set(), now=0)
    ends_in_question(text)

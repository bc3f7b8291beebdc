from __future__ import annotations

from typing import Any

import pytest

from hiveminddb.cli.mcp_arguments import Arguments, parse
from hiveminddb.cli.mcp_tools import BY_NAME
from hiveminddb.errors import InvalidInput


def parsed(tool: str, **sent: Any) -> Arguments:
    return parse(BY_NAME[tool], sent)


@pytest.mark.parametrize("name", ["content", "text", "body", "memory"])
def test_content_goes_by_many_names(name: str) -> None:
    assert parsed("memory_add", **{name: "x"}).texts == {"content": "x"}


def test_other_names_of_topic_query_and_id_are_understood() -> None:
    assert parsed("remember", title="t", note="n").texts == {"topic": "t", "content": "n"}
    assert parsed("search", query="x").texts == {"keyword": "x"}
    assert parsed("memory_search", q="x", top_k="3").numbers == {"limit": 3}
    assert parsed("memory_forget", memory_id="abcd").texts == {"id": "abcd"}


def test_a_name_of_its_own_wins_over_an_alias() -> None:
    assert parsed("memory_update", id="abcd", content="all").texts == {"id": "abcd", "content": "all"}


def test_passages_and_sections_may_come_as_objects() -> None:
    assert parsed("memory_update", id="abcd", replace={"old": "a", "new": "b"}).texts == {
        "id": "abcd",
        "old": "a",
        "new": "b",
    }
    assert parsed("memory_update", id="abcd", section={"heading": "H", "content": "c"}).texts == {
        "id": "abcd",
        "heading": "H",
        "content": "c",
    }
    assert parsed("memory_update", id="abcd", old_string="a", new_string="").texts["new"] == ""


def test_tags_may_be_a_list_json_or_words_with_commas() -> None:
    for tags in (["a", "b"], '["a", "b"]', "a, b", "#a,#b"):
        assert parsed("memory_add", content="x", tags=tags).lists == {"tags": ("a", "b")}


def test_an_unknown_parameter_is_named_with_the_accepted_ones() -> None:
    with pytest.raises(InvalidInput) as caught:
        parsed("remember", topic="t", content="c", colour="red")
    assert "`colour`" in caught.value.message
    assert caught.value.hint == "call remember(topic, content)"


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(InvalidInput, match="`content`"):
        parsed("remember", topic="t")


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"query": "x", "limit": "many"}, "`limit`"),
        ({"query": "x", "limit": 2.5}, "`limit`"),
        ({"query": "x", "limit": True}, "`limit`"),
        ({"query": ["x"]}, "`query`"),
        ({"query": "x", "tags": {"a": 1}}, "`tags`"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(sent: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        parse(BY_NAME["memory_search"], sent)


def test_null_is_as_good_as_absent() -> None:
    assert parsed("memory_search", query="x", topic=None, limit=None) == Arguments({"query": "x"})


def test_every_tool_has_an_answer_and_every_answer_a_tool() -> None:
    from hiveminddb.cli.mcp_answers import ANSWERS

    assert list(ANSWERS) == list(BY_NAME)

"""What the API refuses, and that it says why; nothing a caller sends may be a server's error."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.served import Served, served

HEAD = b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/memories", {"contnet": "x"}, "unknown field `contnet` in POST /memories; accepted: content, topic, memory_"),
        ("/memories", {"content": 1}, "content: expected str, got int"),
        ("/memories", {}, "field `content` is missing in POST /memories"),
        ("/memories", [], "the body: expected object, got array"),
        ("/memories", {"content": ""}, "content: must not be empty"),
        ("/memories", {"content": " \n\t"}, "content: must not be empty"),
        (
            "/memories",
            {"content": "x", "memory_type": "guess"},
            "memory_type: 'guess' is not one of fact, episodic",
        ),
        ("/memories", {"content": "x", "tags": "a"}, "tags: expected array | null, got str"),
        ("/memories", {"content": "x", "tags": ["a", 1]}, "tags[1]: expected str, got int"),
        ("/memories", {"content": "x", "tags": [" "]}, "tags: a tag must not be empty"),
        ("/memories", {"content": "x", "tags": ["t"] * 101}, "tags: longer than 100 items"),
        ("/memories", {"content": "x", "tags": ["t" * 201]}, "tags[0]: longer than 200 characters"),
        ("/memories", {"content": "x", "topic": "t" * 501}, "topic: longer than 500 characters"),
        ("/memories", {"content": "x", "metadata": "a"}, "metadata: expected object | null, got str"),
        ("/memories", {"content": "x", "metadata": {"a": "b" * 70_000}}, "metadata: larger than 64 KiB"),
        ("/memories", {"content": "x", "confidence": 2}, "confidence: expected float <= 1.0"),
        ("/memories", {"content": "x", "created_at": 1700000000}, "created_at: expected str | null, got int"),
        ("/memories", {"content": "x", "created_at": "yesterday"}, "created_at: not a time: 'yesterday'"),
        ("/memories", {"content": "x", "created_at": "2024-02-30"}, "created_at: not a time: '2024-02-30' (day is out"),
        ("/memories", {"content": "x", "created_at": "0001-01-01"}, "created_at: not a time: '0001-01-01' (the year"),
        (
            "/memories",
            {"content": "x", "valid_from": "2024-01-02", "valid_until": "2024-01-01"},
            "valid_until: before valid_from",
        ),
        (
            "/bulk/memories",
            {"memories": [{"content": "a"}, {"content": "b", "tpoic": "c"}]},
            "unknown field `tpoic` in memories[1] of POST /bulk/memories; accepted: content, topic",
        ),
        (
            "/bulk/memories",
            {"memories": [{"content": "a"}, {"content": " "}]},
            "memories[1].content: must not be",
        ),
        ("/bulk/memories", {"memories": [{"content": "a"}] * 10_001}, "memories: longer than 10000 items"),
        ("/search", {"query": "x", "limit": 0}, "limit: expected int >= 1"),
        ("/search", {"query": "x", "limit": 201}, "limit: expected int <= 200"),
        ("/search", {"query": "x", "mode": "magic"}, "mode: 'magic' is not one of hybrid, lexical, vector"),
        ("/search", {"query": None}, "query: expected str, got null"),
        ("/search", {"query": "x", "user_id": ""}, "user_id: must not be empty"),
        (
            "/vault/resolve",
            {"choice": "format"},
            "choice: 'format' is not one of accept_deletions, restore_",
        ),
        ("/search/bulk", {"queries": [{"query": "x"}] * 101}, "queries: longer than 100 items"),
    ],
)
def test_a_body_that_cannot_be_understood_is_refused_by_name(
    server: Served, path: str, body: object, message: str
) -> None:
    reply = server.post(path, body)
    assert reply.status in (400, 413)
    assert reply.message.startswith(message)
    assert reply.json["error"]["hint"]


def test_a_misspelt_field_is_guessed(server: Served) -> None:
    assert server.post("/memories", {"contnet": "x"}).json["error"]["hint"] == "did you mean `content`?"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/memories?limit=x", "limit: expected int, got str"),
        ("/memories?limit=1001", "limit: expected int <= 1000"),
        ("/memories?colour=red", "unknown parameter `colour` in GET /memories; accepted: topic, user_id"),
        ("/memories?topic=a&topic=b", "parameter `topic` is given more than once"),
        ("/memories?topic=%FF", "the query string is not UTF-8"),
        ("/memories?topic=", "topic: must not be empty"),
        ("/lines", "parameter `keyword` is missing in GET /lines"),
        ("/changes?after=-1", "after: expected int >= 0"),
        ("/topics?x=1", "unknown parameter `x` in GET /topics; accepted: consistency"),
    ],
)
def test_a_query_that_cannot_be_understood_is_refused_by_name(server: Served, path: str, message: str) -> None:
    reply = server.get(path)
    assert (reply.status, reply.json["error"]["code"]) == (400, "invalid_input")
    assert reply.message.startswith(message)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"content": "x"} trailing',
        b"\xef\xbb\xbf{}",
        b'{"content": "\xff"}',
        b'{"content": "\xed\xa0\x80"}',
        b'{"content": NaN}',
        b"\x00\x01",
        b'{"content":"a","metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"content":"a","metadata":{"a":' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"content":"a","metadata":{"a":1e999}}',
        b'{"content":"a","metadata":{"a":' + b"9" * 5000 + b"}}",
    ],
)
def test_a_body_that_is_not_json_text_is_refused(server: Served, raw: bytes) -> None:
    reply = server.post("/memories", raw=raw)
    assert (reply.status, reply.json["error"]["code"]) == (400, "invalid_input")


@pytest.mark.parametrize("raw", [rb'{"content": "\ud800"}', rb'{"content": "a \udc00 longer text that goes on"}'])
def test_a_lone_surrogate_is_named(server: Served, raw: bytes) -> None:
    reply = server.post("/memories", raw=raw)
    assert reply.status == 400
    assert "lone surrogate" in reply.json["error"]["hint"]


def test_text_may_hold_any_character(server: Served) -> None:
    content = "\0\x01\x7f\u2028\ufffe\U0010ffff👩‍👩‍👧é"
    assert server.post("/memories", {"content": content}).json["content"] == content


def test_a_missing_body_is_told_what_it_should_be(server: Served) -> None:
    assert server.post("/memories").message == "POST /memories needs a JSON body"


def test_the_content_type_does_not_matter(server: Served) -> None:
    body = {"content": "x"}
    assert server.ask("POST", "/api/v1/memories", body, {"Content-Type": "text/plain"}).status == 201


def test_content_up_to_its_limit_is_taken(server: Served) -> None:
    limit = 10 * 2**20
    assert server.post("/memories", {"content": "x" * limit}).status == 201
    assert server.post("/memories", {"content": "x" * (limit + 1)}).status == 413
    assert server.post("/memories", {"content": "é" * (limit // 2 + 1)}).status == 413


def test_a_body_over_the_limit_is_refused_before_and_while_it_comes(server: Served) -> None:
    assert server.post("/memories", raw=b" " * (16 * 2**20 + 1)).message == "the body is larger than 16 MiB"
    told = server.send(HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 413 ")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    # One byte too many: a server that closes on what is still under way would have its answer thrown away with it.
    told = server.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 16 + b"1\r\n \r\n")
    assert told.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000,
        b"GET /" + b"a" * 100_000,
    ],
)
def test_nonsense_on_the_wire_is_refused_and_the_server_lives(server: Served, nonsense: bytes) -> None:
    told = server.send(nonsense)
    assert told == b"" or told.split(b" ")[1][:1] == b"4"
    assert b" 500 " not in told.split(b"\r\n")[0]
    if told:
        assert set(json.loads(told.split(b"\r\n\r\n", 1)[1])["error"]) == {"code", "message", "hint"}
    assert server.ask("GET", "/health").status == 200


def test_a_caller_that_hangs_up_midway_harms_nobody(server: Served) -> None:
    assert server.send(HEAD + b'Content-Length: 100\r\n\r\n{"con') == b""
    assert server.ask("GET", "/health").status == 200


def test_requests_sent_ahead_are_answered_in_order(server: Served) -> None:
    get = b"GET /api/v1/topics/%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    last = get % (b"three", b"Connection: close\r\n")
    told = server.send(get % (b"one", b"") + get % (b"two", b"") + last, hang_up=False)
    assert told.count(b"HTTP/1.1 200 OK") == 3
    assert told.index(b'"one"') < told.index(b'"two"') < told.index(b'"three"')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "content",
        "topic",
        "tags",
        "metadata",
        "memories",
        "query",
        "queries",
        "limit",
        "created_at",
        "replace",
        "section",
    ]
    + ["reason", "files", "choice", "rebuild", "version", "confidence", "user_id", "valid_from", "mode", "append"]
)
paths = st.sampled_from(
    ["/memories", "/bulk/memories", "/search", "/search/bulk", "/import", "/vault/resolve", "/doctor", "/memories/x"]
    + ["/memories/m0001", "/memories/m0001/restore", "/topics/x", "/topics/x/restore"]
)
methods = st.sampled_from(["POST", "PUT", "PATCH", "DELETE"])


@settings(max_examples=150)
@given(methods, paths, st.dictionaries(fields, json_values, max_size=5) | json_values)
def test_no_json_is_a_server_error(server: Served, method: str, path: str, body: Any) -> None:
    reply = server.ask(method, "/api/v1" + path, body)
    assert reply.status < 500
    assert reply.json


@settings(max_examples=150)
@given(methods, paths, st.binary(max_size=200))
def test_no_bytes_are_a_server_error(server: Served, method: str, path: str, body: bytes) -> None:
    assert server.ask(method, "/api/v1" + path, raw=body).status < 500


@settings(max_examples=150)
@given(st.text(string.ascii_letters + string.digits + "/%&=?;+.-_~:@!$'()*,[]\"\\<>^`{|}", max_size=60))
def test_no_path_is_a_server_error(server: Served, tail: str) -> None:
    assert server.ask("GET", "/api/v1/" + tail).status < 500

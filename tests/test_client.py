from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hiveminddb import (
    AsyncHiveMind,
    Conflict,
    Draft,
    HiveMind,
    InvalidConfig,
    InvalidInput,
    NotFound,
    NotReachable,
    TooLarge,
    Unavailable,
    _http,
    errors,
)
from hiveminddb._address import data_dir, find
from hiveminddb._message import Response, error_of

MEMORY = {
    "id": "abcdefghijklmnopqrst",
    "content": "x",
    "topic": "t",
    "created_at": "2026-01-02T03:04:05.678901Z",
    "updated_at": "2026-01-02T03:04:05Z",
    "tags": ["a"],
    "of_a_newer_daemon": 1,
}

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """A real HTTP server on this machine that answers every request by a function."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self, body)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(to: BaseHTTPRequestHandler, value: Any, status: int = 200, **headers: str) -> None:
    body = json.dumps(value).encode()
    to.send_response(status)
    to.send_header("Content-Length", str(len(body)))
    for name, text in headers.items():
        to.send_header(name.replace("_", "-"), text)
    to.end_headers()
    to.wfile.write(body)


def test_a_memory_is_read_with_its_times_and_without_fields_of_a_newer_daemon() -> None:
    with served(lambda to, body: send(to, MEMORY)) as url, HiveMind(url) as mind:
        memory = mind.get("abcd")
    assert memory.created_at.microsecond == 678901 and memory.created_at.utcoffset() is not None
    assert memory.tags == ("a",) and memory.memory_type == "fact"


def test_an_add_sends_only_what_was_given() -> None:
    seen: list[tuple[str, str, Any]] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append((to.command, to.path, json.loads(body)))
        send(to, {**MEMORY, "status": "pending", "seq": None}, 201)

    with served(answer) as url, HiveMind(url) as mind:
        written = mind.add("x", topic="t", tags=["a"])
    assert seen == [("POST", "/api/v1/memories", {"content": "x", "topic": "t", "tags": ["a"]})]
    assert (written.status, written.seq, written.id) == ("pending", None, MEMORY["id"])


def test_an_update_sends_what_was_given_and_null_for_what_is_cleared() -> None:
    seen: list[Any] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append((to.command, to.path, json.loads(body)))
        send(to, {**MEMORY, "status": "committed", "seq": 3})

    with served(answer) as url, HiveMind(url) as mind:
        mind.update("abcd", replace=("a", "b"), version=2, clear=["speaker"])
        mind.update("abcd", section=("H", "c"), reason="why")
    assert seen == [
        ("PATCH", "/api/v1/memories/abcd", {"replace": {"old": "a", "new": "b"}, "version": 2, "speaker": None}),
        ("PATCH", "/api/v1/memories/abcd", {"section": {"heading": "H", "content": "c"}, "reason": "why"}),
    ]


def test_ids_and_topics_cannot_leave_their_place_in_the_path() -> None:
    paths: list[str] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        paths.append(to.path)
        send(to, {"topic": "t", "file": "t.md", "text": "", "memories": []})

    with served(answer) as url, HiveMind(url) as mind:
        mind.topic("a/b c?d#e")
        mind.topic("..")
        with pytest.raises(Unavailable):
            mind.get("a/../b")
    assert paths == ["/api/v1/topics/a/b%20c%3Fd%23e", "/api/v1/topics/%2E%2E", "/api/v1/memories/a%2F..%2Fb"]


def test_hits_tell_their_mode_and_note() -> None:
    hit = {**MEMORY, "score": 0.5, "memory": MEMORY, "why": {"words": {"rank": 1, "score": 2.5}}}
    note = "the model is away"

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        send(to, [hit], X_Search_Mode="lexical", X_Search_Note=note)

    with served(answer) as url, HiveMind(url) as mind:
        hits = mind.search("x")
    assert (hits.mode, hits.note, hits[0].score) == ("lexical", note, 0.5)
    assert hits[0].why is not None and hits[0].why["words"].rank == 1


def test_a_list_goes_on_from_page_to_page() -> None:
    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        last = "cursor=two" in to.path
        send(to, [{**MEMORY, "content": "2" if last else "1"}], X_Total_Count="2", X_Next_Cursor="" if last else "two")

    with served(answer) as url, HiveMind(url) as mind:
        assert mind.list().total == 2
        assert [memory.content for memory in mind.each(tags=["a"])] == ["1", "2"]


@pytest.mark.parametrize(
    "kind", [InvalidInput, NotFound, Conflict, errors.Ambiguous, errors.DiskFull, errors.VaultError]
)
def test_an_error_comes_back_as_its_own_class(kind: type[errors.HiveMindError]) -> None:
    said = {"error": {"code": kind.code, "message": "what", "hint": "do"}}
    with served(lambda to, body: send(to, said, kind.status)) as url, HiveMind(url) as mind:
        with pytest.raises(kind) as caught:
            mind.status()
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("what", "do")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 1}', b'{"error": {"code": "x"}}'])
def test_an_error_in_another_form_is_still_an_error(body: bytes) -> None:
    assert isinstance(error_of(Response(500, {}, body)), Unavailable)


def test_an_answer_that_is_not_the_daemons_is_told_as_such() -> None:
    with served(lambda to, body: send(to, {"hello": 1})) as url, HiveMind(url) as mind:
        with pytest.raises(Unavailable, match="cannot be understood"):
            mind.get("abcd")


def test_nobody_listening_is_not_reachable_and_says_what_to_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(NotReachable) as caught:
            HiveMind(f"http://127.0.0.1:{free.getsockname()[1]}").health()
    assert "hmd up" in caught.value.hint


def test_an_answer_that_does_not_come_ends_at_the_deadline() -> None:
    done = threading.Event()

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        done.wait(30)

    with served(answer) as url, HiveMind(url, timeout=0.05) as mind:
        with pytest.raises(Unavailable, match="within"):
            mind.status()
        done.set()


def test_an_answer_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "MAX_ANSWER", 1000)
    with served(lambda to, body: send(to, "x" * 2000)) as url, HiveMind(url) as mind:
        with pytest.raises(TooLarge):
            mind.status()


def test_one_connection_serves_many_calls_and_a_closed_one_is_opened_again() -> None:
    ports: list[int] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        ports.append(to.client_address[1])
        to.close_connection = len(ports) == 2
        send(to, {**MEMORY, "status": "committed", "seq": 1})

    with served(answer) as url, HiveMind(url) as mind:
        for _ in range(3):
            mind.add("x")
    assert ports[0] == ports[1] != ports[2]


def test_a_write_whose_connection_breaks_is_not_sent_twice() -> None:
    requests: list[str] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        requests.append(to.command)
        to.close_connection = True
        to.connection.shutdown(socket.SHUT_RDWR)

    with served(answer) as url, HiveMind(url) as mind:
        with pytest.raises(Unavailable, match="broke"):
            mind.add("x")
    assert requests == ["POST"]


def test_the_token_is_sent() -> None:
    seen: list[str | None] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append(to.headers["Authorization"])
        send(to, MEMORY)

    with served(answer) as url, HiveMind(url, "secret") as mind:
        mind.get("abcd")
    assert seen == ["Bearer secret"]


def test_text_that_is_not_unicode_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidInput, match="not Unicode"):
        HiveMind("http://127.0.0.1:1").add("\udc80")


@pytest.mark.parametrize("url", ["127.0.0.1:8100", "ftp://x", "http://", "http://x:99999"])
def test_a_url_that_is_none_is_told_as_such(url: str) -> None:
    with pytest.raises(InvalidConfig):
        HiveMind(url).health()


@pytest.mark.anyio
async def test_the_async_client_answers_many_calls_at_once() -> None:
    import asyncio

    gate = threading.Barrier(4, timeout=180)

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        gate.wait()
        send(to, MEMORY)

    with served(answer) as url:
        async with AsyncHiveMind(url) as mind:
            memories = await asyncio.gather(*(mind.get("abcd") for _ in range(4)))
    assert len(memories) == 4


@pytest.mark.anyio
async def test_a_cancelled_async_call_breaks_its_request_off() -> None:
    import asyncio

    arrived, let_go = threading.Event(), threading.Event()

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        arrived.set()
        let_go.wait(30)

    with served(answer) as url:
        async with AsyncHiveMind(url) as mind:
            call = asyncio.ensure_future(mind.status())
            await asyncio.to_thread(arrived.wait)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        let_go.set()


def test_drafts_send_only_what_was_given() -> None:
    seen: list[Any] = []

    def answer(to: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append(json.loads(body))
        send(to, {"added": 2, "ids": ["a", "b"], "memories": [], "status": "committed", "seq": 2}, 201)

    with served(answer) as url, HiveMind(url) as mind:
        added = mind.add_many(["one", Draft("two", tags=("x",))])
    assert seen == [{"memories": [{"content": "one"}, {"content": "two", "tags": ["x"]}]}]
    assert added.ids == ("a", "b")


def test_the_address_is_found_in_this_order(tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"url": "http://127.0.0.1:1234", "pid": 1}')
    there = {"HIVEMIND_DATA_DIR": str(tmp_path)}
    assert find("http://given:1", environ=there).url == "http://given:1"
    assert find(environ={**there, "HIVEMIND_URL": "http://a:1", "HIVEMINDDB_URL": "http://b:1"}).url == "http://a:1"
    assert find(environ={**there, "HIVEMINDDB_URL": "http://b:1"}).url == "http://b:1"
    assert find(environ=there).url == "http://127.0.0.1:1234"
    assert find(folder=tmp_path, environ={"HIVEMIND_URL": "http://a:1"}).url == "http://127.0.0.1:1234"
    assert find(environ={"XDG_DATA_HOME": str(tmp_path / "none")}).url == "http://127.0.0.1:8100"


def test_a_named_data_folder_never_leads_to_another_folders_daemon(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        find(environ={"HIVEMIND_DATA_DIR": str(tmp_path)})
    with pytest.raises(NotReachable):
        find(folder=tmp_path, environ={})


def test_the_data_folder_follows_the_environment(tmp_path: Path) -> None:
    assert data_dir(environ={"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "hiveminddb"
    assert data_dir(environ={"XDG_DATA_HOME": "/x", "HIVEMIND_DATA_DIR": str(tmp_path)}) == tmp_path
    assert data_dir(tmp_path / "given", {"HIVEMIND_DATA_DIR": "/x"}) == tmp_path / "given"

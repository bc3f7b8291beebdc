from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from hiveminddb.daemon.intents import Append, Blame, ImportFile, Replace, ReplaceSection, SetContent
from tests.daemon.served import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def an_id(server: Served, content: str = "hello") -> str:
    return str(server.post("/memories", {"content": content}).json["id"])


def test_an_added_memory_comes_back_flat_with_its_receipt(server: Served) -> None:
    reply = server.post("/memories", {"content": "tea ☕", "tags": [" a ", "a", "b"], "metadata": {"topic": "x"}})
    assert reply.status == 201
    assert reply.headers["content-type"] == "application/json"
    memory = reply.json
    assert (memory["content"], memory["tags"], memory["metadata"]) == ("tea ☕", ["a", "b"], {"topic": "x"})
    assert (memory["status"], memory["memory_type"], memory["confidence"]) == ("committed", "fact", 1.0)
    assert isinstance(memory["seq"], int)


def test_times_arrive_as_utc(server: Served) -> None:
    body = {"content": "x", "created_at": "2024-02-29", "valid_from": "2024-03-01T10:00:00+02:00"}
    server.post("/memories", body)
    draft = server.cases.drafts[0]
    assert draft.created_at == datetime(2024, 2, 29, tzinfo=UTC)
    assert draft.valid_from == datetime(2024, 3, 1, 8, tzinfo=UTC)


def test_empty_names_count_as_left_out(server: Served) -> None:
    server.post("/memories", {"content": "x", "user_id": "", "topic": "", "tags": None, "metadata": None})
    draft = server.cases.drafts[0]
    assert (draft.user_id, draft.topic, draft.tags, draft.metadata) == (None, None, (), {})


def test_many_memories_are_added_at_once(server: Served) -> None:
    reply = server.post("/bulk/memories", {"memories": [{"content": "a"}, {"content": "b"}], "wait_vectors": True})
    assert reply.status == 201
    added = reply.json
    assert added["added"] == 2
    assert added["ids"] == [memory["id"] for memory in added["memories"]]
    assert (added["status"], [memory["content"] for memory in added["memories"]]) == ("committed", ["a", "b"])


def test_nothing_can_be_added_in_bulk(server: Served) -> None:
    assert server.post("/bulk/memories", {"memories": []}).json["added"] == 0


def test_a_list_is_an_array_with_its_next_page_in_a_header() -> None:
    with served() as server:
        server.post("/bulk/memories", {"memories": [{"content": str(n)} for n in range(5)]})
        first = server.get("/memories?limit=3")
        assert [memory["content"] for memory in first.json] == ["4", "3", "2"]
        assert (first.headers["x-total-count"], first.headers["x-next-cursor"]) == ("5", "3")
        last = server.get("/memories?limit=3&cursor=3")
        assert [memory["content"] for memory in last.json] == ["1", "0"]
        assert "x-next-cursor" not in last.headers


def test_a_list_takes_every_filter(server: Served) -> None:
    server.get("/memories?topic=a/b&tag=x&tag=y&agent_id=c&since=2024-01-01&include_invalidated=true&memory_type=fact")
    filters = server.cases.filters[-1]
    assert (filters.topic, filters.tags, filters.agent_id, filters.include_invalidated) == (
        "a/b",
        ("x", "y"),
        "c",
        True,
    )
    assert filters.since == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "edit"),
    [
        ({"content": "new"}, SetContent("new")),
        ({"append": "more"}, Append("more")),
        ({"replace": {"old": "a", "new": ""}}, Replace("a", "")),
        ({"section": {"heading": "Plan", "content": "x"}}, ReplaceSection("Plan", "x")),
        ({"tags": []}, None),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_memory_is_edited_in_each_way(server: Served, method: str, body: dict[str, object], edit: object) -> None:
    id = an_id(server)
    reply = server.ask(method, f"/api/v1/memories/{id}", {**body, "reason": "why", "changed_by": "me"})
    assert (reply.status, reply.json["version"], reply.json["status"]) == (200, 2, "committed")
    assert server.cases.patches[-1].edit == edit
    assert server.cases.blames[-1] == Blame("why", "me")


def test_null_clears_an_optional_field_and_absence_leaves_it(server: Served) -> None:
    server.ask("PATCH", f"/api/v1/memories/{an_id(server)}", {"user_id": None, "valid_until": None, "content": None})
    patch = server.cases.patches[-1]
    assert (patch.user_id, patch.valid_until, patch.edit) == (None, None, None)
    assert patch.agent_id is UNSET and patch.valid_from is UNSET


def test_edits_exclude_each_other(server: Served) -> None:
    reply = server.ask("PUT", f"/api/v1/memories/{an_id(server)}", {"content": "a", "append": "b"})
    assert (reply.status, reply.message) == (400, "content and append exclude each other")


def test_a_stale_version_is_a_conflict(server: Served) -> None:
    reply = server.ask("PUT", f"/api/v1/memories/{an_id(server)}", {"content": "a", "version": 7})
    assert (reply.status, reply.json["error"]["code"]) == (409, "conflict")


def test_forgetting_takes_its_reason_from_the_body_or_the_query(server: Served) -> None:
    path = f"/api/v1/memories/{an_id(server)}"
    assert server.ask("DELETE", path, {"reason": "old", "changed_by": "mcp"}).json["invalidated_reason"] == "old"
    assert server.cases.blames[-1] == Blame("old", "mcp")
    assert server.ask("DELETE", path + "?reason=gone&changed_by=cli").status == 200
    assert server.cases.blames[-1] == Blame("gone", "cli")
    assert server.ask("DELETE", path).status == 200
    assert server.cases.blames[-1] == Blame()
    assert server.post(f"/memories/{an_id(server)}/restore").json["invalidated_at"] is None


def test_a_history_is_a_list_of_versions(server: Served) -> None:
    (version,) = server.get(f"/memories/{an_id(server)}/history").json
    assert (version["operation"], version["old_content"], version["new_content"]) == ("add", None, "hello")
    assert (version["timestamp"], version["seq"]) == ("2026-03-01T12:00:00Z", 1)


def test_a_hit_is_flat_and_has_the_memory_again() -> None:
    with served() as server:
        memory = server.post("/memories", {"content": "x", "metadata": {"k": 1}}).json
        (hit,) = server.post("/search", {"query": 'a "b', "explain": True, "include_graph": False}).json
        assert hit["score"] == 0.5
        assert hit["why"] == {"bm25": {"rank": 1, "score": 7.5}}
        assert hit["memory"] == {name: memory[name] for name in hit["memory"]}
        assert {name: hit[name] for name in hit["memory"]} == hit["memory"]
        (plain,) = server.post("/search", {"query": ""}).json
        assert "why" not in plain


def test_a_search_says_how_it_searched() -> None:
    with served() as server:
        assert server.post("/search", {"query": "x"}).headers["x-search-mode"] == "hybrid"
        server.cases.note = "the model\r\nis größer"
        headers = server.post("/search", {"query": "x"}).headers
        assert (headers["x-search-mode"], headers["x-search-note"]) == ("lexical", "the model  is gr??er")


def test_searches_in_bulk_give_a_list_for_each(server: Served) -> None:
    an_id(server)
    body = {"queries": [{"query": "a", "limit": 1}, {"query": "b", "limit": 1}], "max_concurrent": 10}
    reply = server.post("/search/bulk", body)
    assert [len(hits) for hits in reply.json] == [1, 1]
    assert [search.query for search in server.cases.searches[-2:]] == ["a", "b"]
    assert server.post("/search/bulk", {"queries": []}).json == []


def test_topics_are_named_by_paths(server: Served) -> None:
    assert server.get("/topics").json[0]["topic"] == "café/x"
    assert server.get("/topics/caf%C3%A9/x").json["topic"] == "café/x"
    assert server.get("/topics/projects%2Fx").json["topic"] == "projects/x"
    assert server.get("/topics/x/restore").json["topic"] == "x/restore"
    reply = server.ask("DELETE", "/api/v1/topics/projects/x", {"reason": "done"})
    assert (reply.json["topic"], server.cases.blames[-1].reason) == ("projects/x", "done")
    assert server.post("/topics/projects/x/restore").json["topic"] == "projects/x"


def test_lines_and_changes_are_listed(server: Served) -> None:
    assert server.get("/lines?keyword=a%20b").json == [
        {"topic": "x", "file": "x.md", "line": 3, "content": "a line with a b"}
    ]
    assert server.get("/changes?after=4&limit=1").json[0]["n"] == 5


def test_upkeep_is_asked_for(server: Served) -> None:
    assert server.post("/import", {"files": [{"path": "a.md", "text": "x\r\n"}]}).json["added"] == 1
    assert server.cases.files == [ImportFile("a.md", "x\r\n")]
    assert server.post("/vault/resolve", {"choice": "recreate"}).json["state"] == "mirroring"
    assert server.post("/doctor").json[0]["message"] == "rebuild False check True"
    assert server.post("/doctor", {"rebuild": True}).json[0]["message"] == "rebuild True check True"


def test_health_needs_no_use_case() -> None:
    with served() as server:
        server.cases.failure = RuntimeError("no database")
        assert server.ask("GET", "/health").json == {"status": "ok", "version": "1.2.3", "node_id": "node"}


def test_settings_and_status_are_told(server: Served) -> None:
    assert server.get("/config").json == [{"name": "vault", "value": "/vault", "source": "default"}]
    status = server.get("/status").json
    assert status["pending"] == {"mirror": 0, "embed": 0}
    assert (status["swarm"]["state"], status["swarm"]["seq"]) == ("alone", 1)


def test_metrics_count_requests_by_route() -> None:
    with served() as server:
        server.post("/memories", {"content": "x"})
        server.get("/memories/nothing")
        server.ask("BREW", "/coffee")
        text = server.get("/metrics").body.decode()
        assert 'hivemind_requests_total{method="POST",route="/api/v1/memories",status="201"} 1' in text
        assert 'hivemind_requests_total{method="GET",route="/api/v1/memories/{id}",status="404"} 1' in text
        assert "coffee" not in text and "BREW" not in text
        assert 'hivemind_request_seconds_bucket{route="/api/v1/memories",le="+Inf"} 1' in text
        assert "hivemind_memories 1\n" in text


def test_head_is_get_without_the_body(server: Served) -> None:
    reply = server.ask("HEAD", "/api/v1/topics")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 2


def test_options_and_wrong_methods_tell_what_is_possible(server: Served) -> None:
    assert server.ask("OPTIONS", "/api/v1/memories").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    wrong = server.ask("POST", "/api/v1/memories/abcd")
    assert (wrong.status, wrong.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")
    assert wrong.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v1/agents/register", "/api/v1/memories/", "/a%2Fb"])
def test_an_unknown_path_is_told_in_the_same_shape(server: Served, path: str) -> None:
    reply = server.ask("POST" if "register" in path else "GET", path, {})
    assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")


def test_an_unforeseen_failure_tells_a_number_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with served() as server:
        server.cases.failure = RuntimeError("secret path /root")
        reply = server.post("/memories", {"content": "x"})
        assert (reply.status, reply.json["error"]["code"]) == (500, "internal")
        assert "secret" not in reply.body.decode()
        incident = reply.message.rsplit(" ", 1)[1]
        assert any(incident in record.getMessage() for record in caplog.records)
        assert server.ask("GET", "/health").status == 200

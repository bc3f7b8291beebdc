"""The requests of the original HiveMindDB's clients and hooks, as they send them, and what they read of the answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.served import Served, served


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def test_the_tools_of_its_bridge_are_served(server: Served) -> None:
    remembered = server.post(
        "/memories", {"content": "x", "memory_type": "fact", "tags": ["ops"], "metadata": {"topic": "ops"}}
    )
    assert remembered.status == 201 and remembered.json["id"]
    assert server.cases.drafts[0].metadata == {"topic": "ops"}
    recalled = server.post("/search", {"query": "ops", "tags": ["ops"], "limit": 50}).json
    assert recalled[0]["memory"]["created_at"] and recalled[0]["memory"]["content"] == "x"
    found = server.post("/search", {"query": "ops", "limit": 10}).json
    assert isinstance(found[0]["score"], float) and found[0]["memory"]["tags"] == ["ops"]
    listed = server.get("/memories").json
    assert [(memory["tags"], bool(memory["updated_at"])) for memory in listed] == [(["ops"], True)]
    forgotten = server.ask(
        "DELETE",
        f"/api/v1/memories/{recalled[0]['memory']['id']}",
        {"reason": 'Topic "ops" forgotten', "changed_by": "mcp"},
    )
    assert forgotten.status == 200


def test_the_requests_of_its_command_line_are_served(server: Served) -> None:
    body: dict[str, object] = {"content": "x", "memory_type": "fact", "agent_id": None, "user_id": None, "tags": []}
    id = server.post("/memories", body).json["id"]
    query: dict[str, object] = {"query": "x", "agent_id": None, "tags": [], "limit": 10, "include_graph": True}
    assert server.post("/search", query).json[0]["memory"]["id"] == id
    assert server.ask("PUT", f"/api/v1/memories/{id}", {"content": "y", "tags": None, "confidence": 0.5}).status == 200
    entry = server.get(f"/memories/{id}/history").json[0]
    assert {"timestamp", "operation", "changed_by", "reason", "old_content", "new_content"} <= set(entry)


def test_the_hooks_that_use_it_are_served(server: Served) -> None:
    note = {
        "content": "Modified file: /a (via Edit)",
        "agent_id": "default",
        "topic": "file-changes",
        "tags": ["auto", "file-change"],
        "metadata": {"type": "file_change", "tool": "Edit"},
    }
    assert server.post("/memories", note).status == 201
    assert server.get("/memories?limit=10").json[0]["topic"] == "file-changes"
    hit = server.post("/search", {"query": "which files changed", "limit": 5}).json[0]
    assert (hit["content"], hit["score"]) == ("Modified file: /a (via Edit)", 0.5)


def test_paths_of_later_parts_are_not_found_in_the_same_shape(server: Served) -> None:
    for path in ("/agents/register", "/agents/a/heartbeat", "/extract", "/entities/find", "/tasks", "/channels"):
        reply = server.post(path, {})
        assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")

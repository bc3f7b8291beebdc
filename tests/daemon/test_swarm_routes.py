from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from hiveminddb.errors import NoQuorum
from tests.daemon.served import Served, served


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def test_a_lease_is_taken_renewed_and_given_free(server: Served) -> None:
    taken = server.post("/leases", {"key": "deploy/db", "holder": "me", "ttl_s": 1.5})
    assert (taken.status, taken.json) == (201, {"key": "deploy/db", "holder": "me", "token": 1, "ttl_s": 1.5})
    refused = server.post("/leases", {"key": "deploy/db", "holder": "you"})
    assert (refused.status, refused.json["error"]["code"]) == (409, "conflict")
    assert server.post("/leases/deploy/db/renew", {"token": 1}).json == taken.json
    assert server.get("/leases").json == [server.get("/leases/deploy%2Fdb").json] == [taken.json]
    assert server.post("/leases/deploy/db/release", {"token": 2}).status == 409
    assert server.post("/leases/deploy/db/release", {"token": 1}).json == {"key": "deploy/db", "released": True}
    assert server.get("/leases/deploy/db").status == 404
    again = server.post("/leases", {"key": "deploy/db", "holder": "you"}).json
    assert (again["token"], again["ttl_s"]) == (2, 30.0)
    assert server.ask("DELETE", "/api/v1/leases/deploy/db?token=2").json["released"] is True


def test_a_register_is_compared_and_set(server: Served) -> None:
    path = f"/api/v1/registers/{quote('ключ/x')}"
    assert server.ask("GET", path).status == 404
    made = server.ask("PUT", path, {"value": "a", "version": 0})
    assert (made.status, made.json) == (200, {"key": "ключ/x", "value": "a", "version": 1})
    assert server.ask("PUT", path, {"value": "b", "version": 0}).status == 409
    assert server.ask("PUT", path, {"value": "b", "expected": "a"}).json["version"] == 2
    refused = server.ask("PUT", path, {"value": "c"})
    assert (refused.status, refused.message) == (400, "neither `version` nor `expected` is given")


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/leases", {"key": "a"}, "field `holder` is missing in POST /leases"),
        ("POST", "/leases", {"key": "", "holder": "a"}, "key: must not be empty"),
        ("POST", "/leases", {"key": "k" * 201, "holder": "a"}, "key: longer than 200 characters"),
        ("POST", "/leases", {"key": "k", "holder": "a", "ttl_s": 0.01}, "ttl_s: expected float >= 0.1"),
        ("POST", "/leases", {"key": "k", "holder": "a", "ttl": 5}, "unknown field `ttl` in POST /leases"),
        ("POST", "/leases/k/renew", {"token": "1"}, "token: expected int, got str"),
        ("DELETE", "/leases/k", None, "parameter `token` is missing"),
        ("PUT", "/registers/k", {"value": "v" * 4097, "version": 0}, "value: longer than 4096 characters"),
        ("POST", "/memories?ack=maybe", {"content": "x"}, "ack: 'maybe' is not one of local, auto, quorum"),
        ("POST", "/memories?akc=auto", {"content": "x"}, "unknown parameter `akc` in POST /memories; accepted: ack"),
        ("GET", "/memories?consistency=strong", None, "consistency: 'strong' is not one of local, linearizable"),
        ("GET", "/topics?ack=auto", None, "unknown parameter `ack` in GET /topics; accepted: consistency"),
        ("POST", "/swarm/join", {}, "field `code` is missing in POST /swarm/join"),
        ("POST", "/swarm/rename", {"name": "n" * 61}, "name: longer than 60 characters"),
    ],
)
def test_what_is_wrong_is_named(server: Served, method: str, path: str, body: object, message: str) -> None:
    reply = server.ask(method, "/api/v1" + path, body)
    assert reply.status in (400, 413)
    assert reply.message.startswith(message)


def test_every_write_says_how_sure_it_is_and_may_be_told_how_sure_to_be(server: Served) -> None:
    id = server.post("/memories?ack=quorum", {"content": "x"}).json["id"]
    writes = [
        ("POST", "/memories", {"content": "y"}),
        ("POST", "/bulk/memories", {"memories": [{"content": "z"}]}),
        ("PATCH", f"/memories/{id}", {"append": "more"}),
        ("PUT", f"/memories/{id}", {"append": "more"}),
        ("DELETE", f"/memories/{id}", None),
        ("POST", f"/memories/{id}/restore", None),
        ("DELETE", "/topics/x", None),
        ("POST", "/topics/x/restore", None),
        ("POST", "/import", {"files": []}),
    ]
    for method, path, body in writes:
        reply = server.ask(method, f"/api/v1{path}?ack=local", body)
        assert reply.status in (200, 201), path
        assert reply.json["status"] == "committed" and "seq" in reply.json, path
        assert server.cases.acks[-1] == "local", path
    assert (server.cases.acks[0], len(server.cases.acks)) == ("quorum", 1 + len(writes))
    server.post("/memories", {"content": "x"})
    assert server.cases.acks[-1] == "auto"


def test_a_linearizable_read_waits_for_what_is_committed_before_it_reads(server: Served) -> None:
    id = server.post("/memories", {"content": "x"}).json["id"]
    server.post("/leases", {"key": "k", "holder": "me"})
    reads: list[tuple[str, str, object]] = [
        ("GET", "/memories", None), ("GET", f"/memories/{id}", None), ("GET", f"/memories/{id}/history", None),
        ("POST", "/search", {"query": "x"}), ("POST", "/search/bulk", {"queries": []}), ("GET", "/topics", None),
        ("GET", "/topics/x", None), ("GET", "/lines?keyword=x", None), ("GET", "/changes", None),
        ("GET", "/leases", None), ("GET", "/leases/k", None),
    ]  # fmt: skip
    for count, (method, path, body) in enumerate(reads, 1):
        sign = "&" if "?" in path else "?"
        assert server.ask(method, f"/api/v1{path}{sign}consistency=linearizable", body).status == 200, path
        assert server.cases.swarm.barriers == count, path
    assert server.get("/memories?consistency=local").status == server.get("/memories").status == 200
    assert server.cases.swarm.barriers == len(reads)
    server.cases.swarm.failure = NoQuorum("most of the swarm is not reachable", "read with consistency=local")
    refused = server.get("/memories?consistency=linearizable")
    assert (refused.status, refused.json["error"]["code"]) == (503, "no_quorum")


def test_the_swarm_is_shown_with_its_nodes(server: Served) -> None:
    told = server.get("/swarm").json
    assert (told["state"], told["name"], told["role"], told["term"], told["pending"]) == (
        "together", "desk", "leader", 4, 2
    )  # fmt: skip
    assert [(node["name"], node["online"], node["lag"]) for node in told["nodes"]] == [
        ("desk", True, 0), ("laptop", False, 3)
    ]  # fmt: skip


def test_a_machine_is_invited(server: Served) -> None:
    assert server.get("/swarm/invite").status == 404
    made = server.post("/swarm/invite")
    assert (made.status, made.json["code"], made.json["state"]) == (201, "7-walnut-anchor", "open")
    assert server.get("/swarm/invite").json == made.json
    assert server.ask("DELETE", "/api/v1/swarm/invite").status == 200
    assert server.get("/swarm/invite").json["state"] == "ended"


def test_a_machine_looks_before_it_joins(server: Served) -> None:
    assert server.post("/swarm/join/confirm").status == 409
    seen = server.post("/swarm/join", {"code": "7-walnut-anchor"}).json
    assert (seen["name"], seen["memories_there"], seen["memories_here"]) == ("laptop", 5, 8)
    assert server.post("/swarm/join/confirm").json == {"node": "b" * 20, "name": "laptop", "nodes": 2}
    server.post("/swarm/join", {"code": "7-walnut-anchor"})
    assert server.ask("DELETE", "/api/v1/swarm/join").json == {"ended": True}
    assert server.cases.swarm.asked == [
        "join True", "look 7-walnut-anchor", "join True", "look 7-walnut-anchor", "join False"
    ]  # fmt: skip


def test_a_node_is_renamed_removed_and_leaves(server: Served) -> None:
    assert server.post("/swarm/rename", {"name": "studio"}).json["name"] == "studio"
    assert server.ask("DELETE", "/api/v1/swarm/nodes/laptop").json["state"] == "together"
    assert server.post("/swarm/leave").status == server.post("/swarm/recover").status == 200
    assert server.cases.swarm.asked == ["rename studio", "remove laptop", "leave", "recover"]

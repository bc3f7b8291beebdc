from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon.served import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Served) -> Any:
    return server.ask("GET", "/openapi.json").json


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_route_is_described_and_nothing_else(server: Served, document: Any) -> None:
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path.replace(":path", "")) for route in server.api.routes}
    assert server.get("/openapi.json").json == document


def test_every_reference_leads_somewhere(document: Any) -> None:
    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names <= set(document["components"]["schemas"])


def test_every_operation_has_its_own_id_and_its_path_parameters(document: Any) -> None:
    ids = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            ids.append(operation["operationId"])
            named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert named == re.findall(r"\{(\w+)\}", path)
            assert operation["summary"]
    assert len(ids) == len(set(ids))


def test_a_query_and_a_body_are_described(document: Any) -> None:
    listing = {one["name"]: one for one in document["paths"]["/api/v1/memories"]["get"]["parameters"]}
    assert listing["limit"]["schema"]["maximum"] == 1000
    assert not listing["topic"]["required"]
    body = document["components"]["schemas"]["NewMemory"]
    assert body["required"] == ["content"]
    assert body["additionalProperties"] is False

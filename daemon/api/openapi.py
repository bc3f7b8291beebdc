"""The API's own description, made from the route table."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from hiveminddb.daemon.api.http import Answer, Call, Route, encoded
from hiveminddb.daemon.api.requests import Nothing
from hiveminddb.daemon.usecases import UseCases

_REFERENCE = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint"],
            "properties": {name: {"type": "string"} for name in ("code", "message", "hint")},
        }
    },
}


def description_routes(routes: Sequence[Route[Any, Any]], version: str) -> tuple[Route[Any, Any], ...]:
    """The routes that answer with the description, which describes them as well."""
    described: list[Route[Any, Any]] = list(routes)

    @functools.cache
    def description() -> Answer:
        return encoded(document(described, version))

    async def tell(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
        return description()

    own = tuple(
        Route("GET", path, tell, "This description", Nothing, Nothing, dict)
        for path in ("/openapi.json", "/api/v1/openapi.json")
    )
    described.extend(own)
    return own


def document(routes: Iterable[Route[Any, Any]], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the routes."""
    routes = list(routes)
    kinds = list(dict.fromkeys(kind for route in routes for kind in _kinds(route)))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schema_of, components)
        paths.setdefault(route.path.replace(":path}", "}"), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "HiveMindDB", "version": version},
        "paths": paths,
        "components": {"schemas": {**components, "Error": _ERROR}},
    }


def _operation(route: Route[Any, Any], schema_of: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    answer = {route.content_type: {"schema": _answer(route.answers, schema_of)}}
    failure = {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}}
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-zA-Z]+', '_', route.path.replace(':path', ''))}".rstrip(
            "_"
        ),
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query, components)],
        "responses": {
            str(route.status): {"description": route.summary, "content": answer},
            "default": {"description": "What was wrong, and what to do", "content": failure},
        },
    }
    if route.body is not Nothing:
        content = {"application/json": {"schema": schema_of[route.body]}}
        operation["requestBody"] = {"required": not route.body_optional, "content": content}
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(query: type[Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    properties = components.get(query.__name__, {}).get("properties", {})
    required = components.get(query.__name__, {}).get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in properties.items()
    ]


def _kinds(route: Route[Any, Any]) -> list[Any]:
    return [route.body, route.query, *_leaves(route.answers)]


def _leaves(answers: Any) -> list[Any]:
    if isinstance(answers, list | tuple):
        return [leaf for answer in answers for leaf in _leaves(answer)]
    return [answers]


def _answer(answers: Any, schema_of: dict[Any, Any]) -> Any:
    if isinstance(answers, list):
        return {"type": "array", "items": _answer(answers[0], schema_of)}
    if isinstance(answers, tuple):
        return {"allOf": [_answer(answer, schema_of) for answer in answers]}
    return schema_of[answers]

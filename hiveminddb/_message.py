"""Requests and answers as values: what goes over the wire, and how an answer becomes a result or an error."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from hiveminddb import errors

T = TypeVar("T")
U = TypeVar("U")

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and the reading of its answer."""

    request: Request
    read: Callable[[Response], T]

    def result(self, response: Response) -> T:
        """The answer's meaning; raises the error it carries."""
        if not 200 <= response.status < 300:
            raise error_of(response)
        try:
            return self.read(response)
        except (KeyError, TypeError, ValueError) as cause:
            raise errors.Unavailable(
                f"the answer to {self.request.method} {self.request.path} cannot be understood: {cause!r}",
                "is it a HiveMindDB daemon of this version that answers there? see: hmd status",
            ) from cause


def error_of(response: Response) -> errors.HiveMindError:
    """The error an answer carries, as the class of its code."""
    try:
        told = json.loads(response.body)["error"]
        code, message, hint = str(told["code"]), str(told["message"]), str(told.get("hint") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return errors.Unavailable(
            f"HTTP {response.status} without a reason",
            "is it a HiveMindDB daemon that answers there? see: hmd status",
        )
    kind = _classes(errors.HiveMindError).get(code, errors.HiveMindError)
    error = kind(message, hint)
    error.code, error.status = code, response.status
    return error


def _classes(kind: type[errors.HiveMindError]) -> dict[str, type[errors.HiveMindError]]:
    found = {kind.code: kind}
    for sub in kind.__subclasses__():
        found.update(_classes(sub))
    return found


def _json(value: Any) -> Any:
    """A value as the API takes it: times as RFC 3339 with a zone, a naive time is local time."""
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(one) for one in value]
    return value


def only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not None, as the API takes them."""
    return {name: _json(value) for name, value in values.items() if value is not None}


def send(method: str, path: str, body: Mapping[str, Any] | None = None) -> Request:
    """A request with a JSON body."""
    if body is None:
        return Request(method, PREFIX + path)
    try:
        return Request(method, PREFIX + path, json.dumps(body, ensure_ascii=False).encode())
    except UnicodeEncodeError as cause:
        broken = cause.object[cause.start : cause.end]
        raise errors.InvalidInput(f"text that is not Unicode: {broken!a}", "send text that is valid UTF-8") from cause


def quoted(name: str, safe: str) -> str:
    """A name as a part of a path."""
    # "." and ".." would be taken for steps in the path.
    return quote(name, safe=safe, errors="replace") if name.strip(".") else name.replace(".", "%2E")


def with_query(path: str, **query: Any) -> str:
    """The path with what is given of a query."""
    given = only_given(query)
    for name, value in given.items():
        given[name] = str(value).lower() if isinstance(value, bool) else value
    return path + ("?" + urlencode(given, doseq=True) if given else "")


def ask(path: str, **query: Any) -> Request:
    """A GET with a query."""
    return Request("GET", PREFIX + with_query(path, **query))


def as_one(read: Callable[[Mapping[str, Any]], U]) -> Callable[[Response], U]:
    """The reading of an answer that is one object."""
    return lambda response: read(json.loads(response.body))


def as_each(read: Callable[[Mapping[str, Any]], U]) -> Callable[[Response], list[U]]:
    """The reading of an answer that is a list."""
    return lambda response: [read(one) for one in json.loads(response.body)]


def later(module: str, name: str) -> Callable[[Mapping[str, Any]], Any]:
    """A reading whose module is imported when it is called: its classes take long to make, and few calls need them."""
    return lambda data: getattr(importlib.import_module(f"hiveminddb.{module}"), name)(data)

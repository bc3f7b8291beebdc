"""What travels between the server and the routes: calls, answers, routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from hiveminddb.daemon.usecases import UseCases
from hiveminddb.errors import HiveMindError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
MIB = 1024 * 1024
BODY_LIMIT = 16 * MIB
BULK_BODY_LIMIT = 64 * MIB

B = TypeVar("B")
Q = TypeVar("Q")

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """One request, parsed: the variable parts of the path, the query and the body."""

    path: Mapping[str, str]
    query: Q
    body: B


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the caller."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON


Handler = Callable[[UseCases, Call[B, Q]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route(Generic[B, Q]):
    """One method on one path: what it takes, who answers, and what the answer looks like.

    `{name}` in a path is one segment, `{name:path}` any number. An answer of several types is one flat object of all.
    """

    method: str
    path: str
    handler: Handler[B, Q]
    summary: str
    body: type[B]
    query: type[Q]
    answers: Any
    status: int = 200
    body_limit: int = BODY_LIMIT
    body_optional: bool = False
    content_type: str = "application/json"


def encoded(value: object, status: int = 200, headers: Headers = ()) -> Answer:
    """Any dataclass, or list of them, as a JSON answer."""
    return Answer(status, _encoder.encode(value), headers)


def refused(error: HiveMindError, headers: Headers = ()) -> Answer:
    """The one shape every error has."""
    said = {"code": error.code, "message": error.message, "hint": error.hint}
    return Answer(error.status, _encoder.encode({"error": said}), headers)


def header(name: bytes, value: str) -> tuple[bytes, bytes]:
    """A response header; what cannot stand in one becomes `?`."""
    safe = "".join(char if char.isprintable() else " " for char in value)
    return name, safe.encode("ascii", "replace")

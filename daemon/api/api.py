"""The ASGI application: guard, route, read, ask the use cases, answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any

from hiveminddb.daemon.api import (
    routes_claims,
    routes_memories,
    routes_node,
    routes_search,
    routes_swarm,
    routes_topics,
)
from hiveminddb.daemon.api.http import Answer, Call, Receive, Route, Scope, Send, encoded, refused
from hiveminddb.daemon.api.metrics import Metrics
from hiveminddb.daemon.api.openapi import description_routes
from hiveminddb.daemon.api.reading import read_body, read_query
from hiveminddb.daemon.api.router import Endpoint, Router, WrongMethod
from hiveminddb.daemon.api.routes_node import Health, about_routes
from hiveminddb.daemon.api.security import Guard
from hiveminddb.daemon.config import Setting
from hiveminddb.daemon.usecases import UseCases
from hiveminddb.errors import HiveMindError, InvalidInput, OutcomeUnknown, TooLarge, TooSlow, Unauthorized

log = logging.getLogger(__name__)

# Long enough for the largest body on a slow link, short enough that a stalled sender holds nothing for long.
BODY_SECONDS = 60.0
UNKNOWN = "(none)"


class ClientGone(Exception):
    """The caller hung up before the request was complete."""


class Api:
    """One instance answers all requests, on the loop thread."""

    def __init__(self, cases: UseCases, guard: Guard, health: Health, settings: Sequence[Setting] = ()) -> None:
        self._cases = cases
        self._guard = guard
        self._metrics = Metrics()
        self.routes: tuple[Route[Any, Any], ...] = (
            *routes_memories.ROUTES,
            *routes_search.ROUTES,
            *routes_topics.ROUTES,
            *routes_node.ROUTES,
            *routes_claims.ROUTES,
            *routes_swarm.ROUTES,
            *about_routes(health, settings, self._metrics),
        )
        self.routes += description_routes(self.routes, health.version)
        self._router = Router(self.routes)
        self._under_way: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            await self._call(scope, receive, send)
        finally:
            self._under_way.discard(task)

    async def finish(self, seconds: float) -> None:
        """Lets requests under way end, and answers those that have not in that time; nothing is taken back."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=seconds)
            for task in late:
                task.cancel()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        route = UNKNOWN
        try:
            self._guard.check(scope["headers"])
            if scope["method"] == "OPTIONS":
                answer = self._options(scope["path"])
            else:
                endpoint, path = self._router.match(scope["method"], scope["path"])
                route = endpoint.route.path
                call = await _read(endpoint, path, scope, receive)
                if getattr(call.query, "consistency", "local") == "linearizable":
                    await self._cases.swarm.barrier()
                answer = await endpoint.route.handler(self._cases, call)
        except HiveMindError as error:
            answer = _refusal(error)
        except ClientGone:
            return
        except asyncio.CancelledError:
            answer = _stopped()
        except Exception:
            answer = _internal(scope)
        await _send(answer, send)
        self._metrics.observe(_known(scope["method"]), route, answer.status, time.perf_counter() - started)

    def _options(self, path: str) -> Answer:
        methods = self._router.methods(path)
        return encoded({"methods": methods}, headers=((b"allow", ", ".join(methods).encode()),))


async def _read(endpoint: Endpoint, path: Any, scope: Scope, receive: Receive) -> Call[Any, Any]:
    route = endpoint.route
    name = f"{route.method} {route.path.removeprefix('/api/v1')}"
    query = read_query(route.query, scope["query_string"], name)
    if route.method == "GET":
        return Call(path, query, None)
    body = await _whole_body(scope, receive, route.body_limit)
    return Call(path, query, read_body(endpoint, body, name))


async def _whole_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    for header, value in scope["headers"]:
        # A length that is not a number, or given twice, is refused by the HTTP parser.
        if header == b"content-length" and int(value) > limit:
            raise _too_large(limit)
        if header == b"content-encoding" and value.lower() != b"identity":
            raise InvalidInput(
                f"a body encoded as {value.decode('latin-1')[:40]} is not understood", "send it as it is"
            )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _chunks(receive, limit)
    except TimeoutError as error:
        raise TooSlow(
            f"the body did not arrive within {BODY_SECONDS:.0f} s", "send it again, or in smaller parts"
        ) from error


async def _chunks(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message["body"]
        if len(body) > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return bytes(body)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit // 2**20} MiB", "send it in several requests")


def _refusal(error: HiveMindError) -> Answer:
    if isinstance(error, WrongMethod):
        return refused(error, ((b"allow", ", ".join(error.allowed).encode()),))
    if isinstance(error, Unauthorized):
        return refused(error, ((b"www-authenticate", b"Bearer"),))
    return refused(error)


def _stopped() -> Answer:
    return refused(
        OutcomeUnknown(
            "the daemon stopped before this was done; what it wrote until then is kept",
            "start it again with hmd up, and look before you write again",
        )
    )


def _internal(scope: Scope) -> Answer:
    incident = secrets.token_hex(4)
    log.exception("internal error incident=%s method=%s path=%r", incident, scope["method"], scope["raw_path"])
    error = HiveMindError(f"internal error {incident}", "the daemon's log has the details under this number")
    error.code = "internal"
    return refused(error)


def _known(method: str) -> str:
    """A method name as a metric label: callers can invent methods, not labels."""
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "OTHER"


async def _send(answer: Answer, send: Send) -> None:
    headers = [
        (b"content-length", str(len(answer.body)).encode()),
        (b"content-type", answer.content_type),
        (b"x-content-type-options", b"nosniff"),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

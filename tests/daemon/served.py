"""The real API on a real socket, with the use cases of a dictionary behind it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import uvloop

from hiveminddb.daemon.api.api import Api
from hiveminddb.daemon.api.routes_node import Health
from hiveminddb.daemon.api.security import Guard, LoopbackGuard
from hiveminddb.daemon.api.server import serving
from hiveminddb.daemon.config import Address, Setting
from tests.daemon.fake_cases import FakeCases


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


@dataclass(frozen=True, slots=True)
class Served:
    cases: FakeCases
    api: Api
    port: int

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, raw: bytes = b""
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            content = raw or (None if body is None else json.dumps(body).encode())
            connection.request(method, path, content, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, path: str, body: object = None, raw: bytes = b"") -> Reply:
        return self.ask("POST", "/api/v1" + path, body, raw=raw)

    def get(self, path: str) -> Reply:
        return self.ask("GET", "/api/v1" + path)

    def send(self, data: bytes, *, hang_up: bool = True) -> bytes:
        """Bytes as they are; everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=180) as raw:
            received = b""
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                raw.sendall(data)
                if hang_up:
                    raw.shutdown(socket.SHUT_WR)
                while chunk := raw.recv(65536):
                    received += chunk
            return received


@contextlib.contextmanager
def served(guard: Guard | None = None) -> Iterator[Served]:
    """A server in a thread of its own, stopped cleanly at the end."""
    cases = FakeCases()
    settings = (Setting("vault", "/vault", "default"),)
    api = Api(cases, guard or LoopbackGuard(), Health("ok", "1.2.3", "node"), settings)
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        async with serving(api, Address("127.0.0.1", 0)) as bound:
            ready.set_result((asyncio.get_running_loop(), stop, bound.port))
            await stop.wait()

    thread = threading.Thread(target=uvloop.run, args=(main(),))
    thread.start()
    loop, stop, port = ready.result(timeout=180)
    try:
        yield Served(cases, api, port)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import threading
from collections.abc import Sequence

import pytest

from hiveminddb.daemon.api import api as api_module
from hiveminddb.daemon.api import connection, server
from hiveminddb.daemon.api.api import Api
from hiveminddb.daemon.api.routes_node import Health
from hiveminddb.daemon.api.security import LoopbackGuard
from hiveminddb.daemon.api.server import serving
from hiveminddb.daemon.config import Address
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.swarm_cases import Ack
from hiveminddb.daemon.usecases import Added
from hiveminddb.errors import InvalidConfig
from tests.daemon.fake_cases import FakeCases
from tests.daemon.served import served


class SlowCases(FakeCases):
    """Adds only when told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def add(self, drafts: Sequence[Draft], wait_vectors: bool = False, ack: Ack = "auto") -> Added:
        self.asked.set()
        await self.go_on.wait()
        return await super().add(drafts)


def an_api(cases: FakeCases) -> Api:
    return Api(cases, LoopbackGuard(), Health("ok", "0", "n"))


def post(port: int) -> int:
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=180)
    caller.request("POST", "/api/v1/memories", b'{"content": "x"}')
    response = caller.getresponse()
    response.read()
    caller.close()
    return response.status


@pytest.mark.anyio
async def test_a_request_under_way_is_answered_before_the_server_stops() -> None:
    cases = SlowCases()
    async with asyncio.timeout(180):
        async with serving(an_api(cases), Address("127.0.0.1", 0)) as bound:
            status = asyncio.create_task(asyncio.to_thread(post, bound.port))
            await cases.asked.wait()
            asyncio.get_running_loop().call_later(0.3, cases.go_on.set)
        assert await status == 201
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bound.port))


@pytest.mark.anyio
async def test_a_request_that_does_not_end_is_answered_when_the_server_stops(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "STOP_SECONDS", 0.05)
    cases = SlowCases()
    async with asyncio.timeout(180):
        async with serving(an_api(cases), Address("127.0.0.1", 0)) as bound:
            status = asyncio.create_task(asyncio.to_thread(post, bound.port))
            await cases.asked.wait()
        assert await status == 503
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.anyio
async def test_an_idle_connection_does_not_hold_the_stop_up() -> None:
    async with asyncio.timeout(180):
        async with serving(an_api(FakeCases()), Address("127.0.0.1", 0)) as bound:
            reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.anyio
async def test_who_does_not_read_an_answer_does_not_hold_the_stop_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.05)
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with asyncio.timeout(180):
            async with serving(an_api(FakeCases()), Address("127.0.0.1", 0)) as bound:
                deaf.connect(("127.0.0.1", bound.port))
                deaf.setblocking(False)
                await loop.sock_sendall(deaf, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
                assert await loop.sock_recv(deaf, 1)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.anyio
async def test_a_port_in_use_is_named() -> None:
    async with serving(an_api(FakeCases()), Address("127.0.0.1", 0)) as bound:
        assert bound.port > 0
        with pytest.raises(InvalidConfig, match=f"cannot listen on 127.0.0.1:{bound.port}"):
            async with serving(an_api(FakeCases()), bound):
                pass


@pytest.mark.anyio
async def test_a_name_that_leads_nowhere_is_named() -> None:
    with pytest.raises(InvalidConfig, match="cannot listen on no.such.host.invalid:0"):
        async with serving(an_api(FakeCases()), Address("no.such.host.invalid", 0)):
            pass


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "BODY_SECONDS", 0.1)
    with served() as server:
        head = b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{"
        assert server.send(head, hang_up=False).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("begun", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: loc"])
def test_headers_that_do_not_come_are_not_waited_for(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.1)
    with served() as server:
        assert server.send(begun, hang_up=False).startswith(b"HTTP/1.1 408 ")


def test_connections_over_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 1)
    with served() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            first.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert first.recv(100).startswith(b"HTTP/1.1 200 ")
            assert server.send(b"", hang_up=False).startswith(b"HTTP/1.1 503 ")


def test_many_callers_at_once_are_all_answered() -> None:
    with served() as server:
        statuses: list[int] = []
        callers = [threading.Thread(target=lambda: statuses.append(post(server.port))) for _ in range(32)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert statuses == [201] * 32
        assert len(server.cases.memories) == 32

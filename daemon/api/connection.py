"""One HTTP connection: uvicorn's, with bounds on what a caller can hold and refusals in the API's own shape."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hiveminddb.daemon.api.http import JSON, refused
from hiveminddb.errors import HiveMindError, InvalidInput, TooLarge, TooSlow, Unavailable

# A connection costs memory; agents keep a handful open each.
MAX_CONNECTIONS = 1_000
HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 30.0


class HeadersTooLarge(TooLarge):
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class Connection(HttpToolsProtocol):
    """Headers are small and arrive in time, or the connection ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_headers = False
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(Unavailable(f"more than {MAX_CONNECTIONS} connections are open", "close some, or try again"))
        else:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(HeadersTooLarge(f"the headers are larger than {HEADER_BYTES // 1024} KiB", "send less"))
            elif self._deadline is None:
                self._await_headers()
        elif self._deadline is not None:
            self._headers_arrived()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidInput("not an HTTP request", "this port speaks HTTP/1.1"))

    def _await_headers(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _headers_arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._refuse(TooSlow(f"the headers did not arrive within {HEADER_SECONDS:.0f} s", "ask again"))

    def _refuse(self, error: HiveMindError) -> None:
        if self.transport.is_closing():
            return
        status, body = HTTPStatus(error.status), refused(error).body
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, status.phrase.encode(), JSON, len(body), body)
        )
        self.transport.close()

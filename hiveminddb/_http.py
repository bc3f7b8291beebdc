"""One kept-alive HTTP/1.1 connection to the daemon, with a deadline and a size limit for every answer."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from hiveminddb._address import Address
from hiveminddb._message import Request, Response
from hiveminddb.errors import InvalidConfig, NotReachable, TooLarge, Unavailable

# A vault file may be 10 MB and a topic's answer holds it twice, JSON escapes apart.
MAX_ANSWER = 128 * 1024 * 1024
_CHUNK = 256 * 1024


class Connection:
    """Sends one request at a time; `locate` is asked again for every new connection, so a moved daemon is found."""

    def __init__(self, locate: Callable[[], Address], timeout: float) -> None:
        self._locate = locate
        self._timeout = timeout
        self._lock = threading.Lock()
        self._http: HTTPConnection | None = None
        self._url = ""
        self._token: str | None = None

    def exchange(self, request: Request) -> Response:
        """The daemon's answer; NotReachable when there is none to ask, Unavailable when the answer does not come."""
        with self._lock:
            end = time.monotonic() + self._timeout
            reused = self._still_open()
            try:
                return self._once(request, end)
            except (ConnectionError, HTTPException) as cause:
                self.close()
                if not (reused and request.method == "GET"):
                    raise self._broken(request, cause) from cause
            try:
                return self._once(request, end)
            except (ConnectionError, HTTPException) as cause:
                self.close()
                raise self._broken(request, cause) from cause

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def abort(self) -> None:
        """Breaks a request off that another thread waits for."""
        http = self._http
        if http is not None and http.sock is not None:
            try:
                http.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it ended on its own

    def _still_open(self) -> bool:
        # An idle connection that can be read from was closed by the daemon; a request sent on it would be lost.
        http = self._http
        if http is None or http.sock is None:
            return False
        if select.select([http.sock], [], [], 0)[0]:
            self.close()
            return False
        return True

    def _once(self, request: Request, end: float) -> Response:
        try:
            http = self._http or self._open(end)
            _allow(http, end)
            http.request(request.method, request.path, request.body, self._headers(request))
            _allow(http, end)
            with http.getresponse() as answer:
                body = _body(http, answer, end)
                headers = {name.lower(): value for name, value in answer.getheaders()}
                return Response(answer.status, headers, body)
        except TimeoutError as cause:
            self.close()
            raise Unavailable(
                f"no answer from {self._url} to {request.method} {request.path} within {self._timeout:g} s",
                "the daemon may be busy: try again, or see: hmd status",
            ) from cause
        except TooLarge:
            self.close()
            raise

    def _open(self, end: float) -> HTTPConnection:
        address = self._locate()
        self._url, self._token = address.url.rstrip("/"), address.token
        http = _connection(self._url, max(end - time.monotonic(), 0.001))
        try:
            http.connect()
        except OSError as cause:
            raise NotReachable(f"no daemon answers at {self._url}", "start it with: hmd up") from cause
        http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http = http
        return http

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _broken(self, request: Request, cause: Exception) -> Unavailable:
        why = str(cause) or type(cause).__name__
        return Unavailable(
            f"the connection to {self._url} broke during {request.method} {request.path}: {why}",
            "whether a change was made is not known: look, then try again",
        )


def _connection(url: str, timeout: float) -> HTTPConnection:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as cause:
        raise InvalidConfig(f"not a URL: {url}", "write it like http://127.0.0.1:8100") from cause
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidConfig(f"not an http URL: {url}", "write it like http://127.0.0.1:8100")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(host, port, timeout=timeout)


def _allow(http: HTTPConnection, end: float) -> None:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if http.sock is not None:
        http.sock.settimeout(left)


def _body(http: HTTPConnection, answer: HTTPResponse, end: float) -> bytes:
    chunks, size = [], 0
    while chunk := answer.read1(_CHUNK):
        size += len(chunk)
        if size > MAX_ANSWER:
            raise TooLarge(
                f"an answer of more than {MAX_ANSWER} bytes", "ask for less at a time, with limit or filters"
            )
        chunks.append(chunk)
        _allow(http, end)
    return b"".join(chunks)

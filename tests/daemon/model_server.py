"""A real HTTP server that speaks the embedding protocols of OpenAI and Ollama; switches make it misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ModelServer(ThreadingHTTPServer):
    """What it does next is in its fields; what it was asked in `requests`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dim = 8
        self.key = ""
        self.failures: list[tuple[int, str]] = []
        self.body: bytes | None = None
        self.requests: list[dict[str, Any]] = []
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(asked)
        if self.server.hold and asked["input"] != ["ready?"]:
            self.server.hold.wait(60)
        if self.server.failures:
            status, message = self.server.failures.pop(0)
            return self._answer(status, {"error": {"message": message}}, {"Retry-After": "0"})
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            return self._answer(401, {"error": {"message": "Incorrect API key provided"}})
        if "unacceptable" in asked["input"]:
            return self._answer(400, {"error": {"message": "input too strange"}})
        if self.server.body is not None:
            return self._send(200, self.server.body)
        return self._embed(asked)

    def _embed(self, asked: dict[str, Any]) -> None:
        rows = [_row(text, self.server.dim) for text in asked["input"]]
        if self.path == "/v1/embeddings":
            data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            # The order of items is not promised; the index is.
            self._answer(200, {"object": "list", "data": data[::-1], "model": asked["model"], "usage": usage})
        elif self.path == "/api/embed" and asked["model"] == "nomic-embed-text":
            self._answer(200, {"model": asked["model"], "embeddings": rows, "total_duration": 1})
        else:
            self._answer(404, {"error": f'model "{asked["model"]}" not found, try pulling it first'})

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


def _row(text: str, dim: int) -> list[float]:
    return [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:dim]]


@contextmanager
def model_server() -> Iterator[ModelServer]:
    server = ModelServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

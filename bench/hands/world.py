"""Where the torture happens: the folders, the daemon as a caller sees it, and what all writers share."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.hands.ledger import Ledger, Turns


class Down(Exception):
    """No answer: the daemon is being killed, or the request died with it."""


class Refused(Exception):
    """An answer, but no success."""


@dataclass(frozen=True, slots=True)
class World:
    """Where everything happens."""

    vault: Path
    data: Path
    outside: Path
    ledger: Ledger
    stop: threading.Event
    turns: dict[str, Turns]
    rests: tuple[float, ...] = (0.0, 0.01, 0.05, 0.2)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the daemon answers to a request."""
        return self.page(method, path, body)[0]

    def page(self, method: str, path: str, body: object = None) -> tuple[Any, str]:
        """The same, with the cursor of the next page; each request on a connection of its own."""
        try:
            told = json.loads((self.data / "daemon.json").read_bytes())
            connection = http.client.HTTPConnection(told["url"].removeprefix("http://"), timeout=180)
            try:
                connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Down from error
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content), answer.getheader("x-next-cursor", "")

    def knows(self, token: str) -> bool:
        """Whether the daemon has this word in a living text."""
        try:
            found = bool(self.ask("GET", f"/lines?keyword={token}"))
        except Down:
            return False
        if found:
            self.ledger.saw(token)
        return found

    def knows_soon(self, token: str, seconds: float = 3.0) -> bool:
        """The same, with some patience."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stop.is_set():
            if self.knows(token):
                return True
            # Every look reads all texts.
            time.sleep(0.2)
        return False


def quoted(topic: str) -> str:
    """A topic as a part of a path in the API."""
    return urllib.parse.quote(topic)

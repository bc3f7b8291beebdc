"""What the torture's writers did, and so what must be true in the end."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TOKEN = re.compile(r"tk[0-9]{6}x")


def tokens_in(text: str) -> list[str]:
    """The unique words in a text."""
    return TOKEN.findall(text)


@dataclass(frozen=True, slots=True)
class Add:
    """A memory that the daemon has acknowledged."""

    topic: str
    content: str


@dataclass(slots=True)
class Ledger:
    """Shared by all writers; every token is a word that is written once in the whole run."""

    exact: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    adds: dict[str, Add] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _next: int = 0

    def token(self) -> str:
        """A word never used before."""
        with self._lock:
            self._next += 1
            return f"tk{self._next:06d}x"

    def did(self, what: str) -> None:
        """Count an operation."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def wrote(self, tokens: Iterable[str], where: str) -> None:
        """These words are safe somewhere and nobody has removed them."""
        with self._lock:
            for token in tokens:
                self.written[token] = where
                self.removed.discard(token)

    def remove(self, tokens: Iterable[str]) -> None:
        """Somebody removed these words on purpose."""
        with self._lock:
            self.removed.update(tokens)

    def unsure(self, tokens: Iterable[str]) -> None:
        """A write of these words was not answered: they may be there or not."""
        with self._lock:
            self.maybe.update(tokens)

    def saw(self, token: str) -> None:
        """The daemon has shown that it knows this word."""
        with self._lock:
            self.seen.add(token)

    def acknowledged(self, id: str, topic: str, content: str) -> None:
        """The daemon answered that this memory is safe."""
        with self._lock:
            self.adds[id] = Add(topic, content)
            self.wrote(tokens_in(content), topic)

    def change(self, tokens: Iterable[str]) -> None:
        """Texts with these words are not what they were any more."""
        with self._lock:
            self.changed.update(tokens)

    def problem(self, text: str) -> None:
        """Something went wrong that must not."""
        with self._lock:
            self.problems.append(text)

    def expected(self) -> dict[str, str]:
        """Words that must be in a file, and where."""
        with self._lock:
            left_out = self.removed | self.maybe
            return {token: where for token, where in self.written.items() if token not in left_out}


class Turns:
    """Who may write a file: any number of appenders, or one program that replaces it. The daemon takes no turns."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._appending = 0
        self._replacing = False
        self.saves = 0
        self.appended: list[str] = []

    @contextmanager
    def appending(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._replacing)
            self._appending += 1
        try:
            yield
        finally:
            with self._condition:
                self._appending -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._replacing and not self._appending)
            self._replacing = True
        try:
            yield
        finally:
            with self._condition:
                self._replacing = False
                self._condition.notify_all()

"""What the torture's writers did, and so what must be true in the end."""

from __future__ import annotations

import re
import threading
import time
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
    removed_from_files: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    adds: dict[str, Add] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    strayed: set[str] = field(default_factory=set)
    forked: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _next: int = 0

    def token(self) -> str:
        """A word never used before."""
        with self._lock:
            self._next += 1
            return f"tk{self._next:06d}x"

    def did(self, what: str, where: str = "", came: Iterable[str] = (), went: Iterable[str] = ()) -> None:
        """Count an operation, and note it with the words that came and went."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            words = [*(f"+{it}" for it in sorted(came)), *(f"-{it}" for it in sorted(went))]
            self.journal.append(f"{time.time():.3f} {threading.current_thread().name} {what} {where} {' '.join(words)}")

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

    def remove_from_file(self, tokens: Iterable[str]) -> None:
        """Somebody removed these words from a file: the daemon hears of it later."""
        tokens = list(tokens)
        with self._lock:
            self.removed.update(tokens)
            self.removed_from_files.update(tokens)

    def restored(self, tokens: Iterable[str], where: str) -> None:
        """The daemon has brought these words back; for those removed from a file, it may have heard of that since."""
        tokens = set(tokens)
        with self._lock:
            self.wrote(tokens, where)
            self.maybe.update(tokens & self.removed_from_files)

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

    def stray(self, token: str) -> None:
        """This word was put at the end of a file, whatever entry that is."""
        with self._lock:
            self.strayed.add(token)

    def fork(self, tokens: Iterable[str]) -> None:
        """These words may stand in two files: one that was renamed elsewhere was saved under its old name."""
        with self._lock:
            self.forked.update(tokens)

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
        self.replacing = False
        self.saves = 0
        self.appended: list[str] = []

    @contextmanager
    def appending(self) -> Iterator[None]:
        with self._taken(alone=False):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._taken(alone=True):
            yield

    def take(self, alone: bool) -> bool:
        """Take the turn if that is possible now."""
        with self._condition:
            if self.replacing or (alone and self._appending):
                return False
            self.replacing = alone
            self._appending += not alone
            return True

    def give_back(self, alone: bool) -> None:
        """Let others have their turn."""
        with self._condition:
            self.replacing = False
            self._appending -= not alone
            self._condition.notify_all()

    @contextmanager
    def _taken(self, alone: bool) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: self.take(alone))
        try:
            yield
        finally:
            self.give_back(alone)

"""A cold start on a folder of notes: when it is ready, when all are found, how fast vectors fill in, what it holds.

The bare embedder works in this process on the same notes, in turns with the daemon, so that load from elsewhere
touches both alike: while one works, the other is held with SIGSTOP or waits.
Run from the repository: python -m bench.start
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.running import (
    Daemon,
    Http,
    Row,
    arguments,
    at_least,
    at_most,
    daemon,
    memory_of,
    rendered,
    report,
    say,
    scratch,
    until,
)
from bench.running_words import Words, marker, write_notes
from bench.searches import fill_vectors
from hiveminddb.daemon.embedding.model import EmbeddingModel
from hiveminddb.daemon.embedding.spec import shipped_model

FOUND_S = 10.0
AGAIN_S = 1.5
DAEMON_MB = 200.0
CHILD_MB = 300.0
SHARE_PERCENT = 90.0
SAMPLES = 50
TURN_SECONDS = 10.0
FILL_SECONDS = 600.0
RIVAL_INDEX = "basic-memory: 243 s for 1,000, 865 s for 3,000"
RIVAL_MEMORY = "basic-memory: 315-339 MB, with vectors 508-545 MB, per client"


def found(client: Http, number: int) -> bool:
    """Whether a search by words finds a note."""
    request = rendered("POST", "/api/v1/search", {"query": marker(number), "mode": "lexical", "limit": 1})
    return marker(number).encode() in client.send(request)


def cold(running: Daemon, client: Http, notes: int) -> float:
    """Seconds from the daemon's spawning until every note is searchable."""
    spawned = time.perf_counter() - running.ready_s
    until(lambda: int(client.ask("GET", "/api/v1/status")["memories"]) >= notes, FILL_SECONDS, "all are taken in")
    sample = random.Random(2).sample(range(notes), min(notes, SAMPLES))
    until(lambda: all(found(client, number) for number in sample), FILL_SECONDS, "a sample of them is found")
    return time.perf_counter() - spawned


class Filling:
    """How many vectors there are, and how many a second there came while the daemon was let work."""

    def __init__(self, running: Daemon) -> None:
        self._running = running

    def ready(self) -> bool:
        """Whether the model is loaded."""
        return bool(self._embedding()["state"] == "ready")

    def vectors(self) -> int:
        return int(self._embedding()["vectors"])

    def step(self) -> int:
        """The number of vectors just after it has grown: they come in batches."""
        before = self.vectors()
        until(lambda: self.vectors() > before, FILL_SECONDS, "more vectors")
        return self.vectors()

    def _embedding(self) -> dict[str, Any]:
        # A connection of its own each time: turns are longer than the daemon keeps an idle one.
        client = self._running.connect()
        embedding: dict[str, Any] = client.ask("GET", "/api/v1/status")["embedding"]
        client.close()
        return embedding

    @contextmanager
    def held(self) -> Iterator[None]:
        """The daemon and its child stand still inside."""
        pids = [self._running.process.pid, *self._running.children()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)


def bare(model: EmbeddingModel, texts: Iterator[str], seconds: float) -> tuple[int, float]:
    """Texts embedded in about that time, and the time."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for tokens in model.passages(next(texts).encode()):
            model.embed(tokens)
        count += 1
    return count, time.perf_counter() - start


def rates(filling: Filling, texts: Iterator[str], seconds: float) -> tuple[float, float]:
    """Vectors a second of the daemon, and of the bare model, over so many seconds each."""
    model = EmbeddingModel(shipped_model().path)
    bare(model, texts, 1.0)
    alone, alone_s, spent = 0, 0.0, 0.0
    first = filling.step()
    while spent < seconds:
        start = time.perf_counter()
        time.sleep(TURN_SECONDS)
        last = filling.step() if spent + TURN_SECONDS >= seconds else 0
        spent += time.perf_counter() - start
        with filling.held():
            count, took = bare(model, texts, TURN_SECONDS)
        alone, alone_s = alone + count, alone_s + took
    return (last - first) / spent, alone / alone_s


def contents(vault: Path) -> Iterator[str]:
    """The notes' texts, in an order of their own, again and again."""
    paths = sorted(vault.rglob("*.md"))
    random.Random(3).shuffle(paths)
    while True:
        for path in paths:
            yield path.read_text(encoding="utf-8").strip()


def first_start(folder: Path, notes: int, seconds: float) -> list[Row]:
    """Nothing known yet."""
    with daemon(folder) as running:
        client = running.connect()
        took = cold(running, client, notes)
        rows = [
            at_most(f"cold start, {notes} notes: ready", running.ready_s, "s"),
            at_most(f"cold start, {notes} notes: all searchable", took, "s", FOUND_S, RIVAL_INDEX),
        ]
        say(f"all searchable after {took:.1f} s")
        inside, alone = rates(Filling(running), contents(running.vault), seconds)
        share = f" ({inside:.1f} of {alone:.1f} texts/s)"
        rows.append(
            at_least("vectors fill in, of the bare embedder", 100 * inside / alone, "%", SHARE_PERCENT, "", share)
        )
        rows += held_by(running, "while vectors fill in")
        client.close()
    return rows


def held_by(running: Daemon, when: str) -> list[Row]:
    """What the daemon and its child hold now."""
    own = memory_of(running.process.pid)
    rows = [at_most(f"daemon, {when}", own.resident, "MB", DAEMON_MB, RIVAL_MEMORY, f", PSS {own.share:.0f}")]
    for pid in running.children():
        child = memory_of(pid)
        rows.append(at_most(f"model child, {when}", child.resident, "MB", CHILD_MB, "", f", PSS {child.share:.0f}"))
    return rows


def second_start(folder: Path, notes: int, times: int) -> list[Row]:
    """All known, with a vector for every memory."""
    fill_vectors(folder / "data" / "hivemind.db")
    ready = []
    for _ in range(times):
        with daemon(folder) as running:
            ready.append(running.ready_s)
            client = running.connect()
            if not found(client, notes - 1):
                raise SystemExit("ready, and a note is not found")
            until(Filling(running).ready, FILL_SECONDS, "the model is loaded")
            rows = held_by(running, "after a second start")
            client.close()
    middle = sorted(ready)[times // 2]
    return [at_most(f"second start, {notes} memories with vectors: ready", middle, "s", AGAIN_S), *rows]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--notes", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long vectors are counted")
    parser.add_argument("--again", type=int, default=3, help="how often it is started again")
    options = parser.parse_args()
    with scratch(options.place) as folder:
        (folder / "vault").mkdir()
        write_notes(folder / "vault", options.notes, Words(5))
        rows = first_start(folder, options.notes, options.seconds)
        rows += second_start(folder, options.notes, options.again)
    report("start", rows, options.json)


if __name__ == "__main__":
    main()

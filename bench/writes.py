"""How fast memories are added through HTTP, each acknowledged once it is on the disk.

Run from the repository: python -m bench.writes
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop

from bench.running import (
    Daemon,
    Http,
    Row,
    arguments,
    at_least,
    bare_fsync,
    daemon,
    latency,
    rendered,
    report,
    say,
    scratch,
    until,
)
from bench.running_words import Words

WRITERS = 16
BATCH = 1000
BULK = 10_000
SHORT_WORDS = 12
LONE_TIMES_FSYNC = 3.0
ADDS_A_SECOND = 2000.0
BULK_A_SECOND = 10_000.0
SETTLE_SECONDS = 120.0
BUSY_SECONDS = 120.0
TOPICS = 50


def requests(count: int, words: Words, name: str) -> list[bytes]:
    """Adds of short memories, spread over some topics."""
    return [
        rendered("POST", "/api/v1/memories", {"content": words.text(SHORT_WORDS), "topic": f"{name}-{number % TOPICS}"})
        for number in range(count)
    ]


def lone(client: Http, folder: Path, count: int, words: Words) -> list[Row]:
    """One caller, one add after the other, beside the bare disk before and after."""
    before = bare_fsync(folder)
    taken = []
    for request in requests(count, words, "lone"):
        start = time.perf_counter()
        client.send(request)
        taken.append(time.perf_counter() - start)
    after = bare_fsync(folder)
    data, whole = ((a + b) / 2 * 1e3 for a, b in zip(before, after, strict=True))
    disk = f"bare fsync {whole:.2f} ms, fdatasync {data:.2f} ms"
    return [latency("lone add (target: 3 x bare fsync)", taken, LONE_TIMES_FSYNC * whole, disk)]


class Writer(asyncio.Protocol):
    """One of the concurrent callers: sends the next add as soon as the last is acknowledged."""

    def __init__(self, waiting: Iterator[bytes], done: asyncio.Future[None], taken: list[float]) -> None:
        self._waiting, self._done, self._taken = waiting, done, taken
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n", 1)[0]):
            return
        if b" 201 " not in head[:16]:
            self._done.set_exception(RuntimeError(f"refused: {self._buffer[:500]!r}"))
            return
        self._taken.append(time.perf_counter() - self._start)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the daemon closed the connection"))

    def _next(self) -> None:
        request = next(self._waiting, None)
        if request is None:
            self._done.set_result(None)
            self._transport.close()
            return
        self._start = time.perf_counter()
        self._transport.write(request)


async def together(running: Daemon, waiting: list[bytes], writers: int) -> tuple[float, list[float]]:
    """Seconds for all, and of each."""
    loop = asyncio.get_running_loop()
    shared, taken = iter(waiting), list[float]()
    ends = [loop.create_future() for _ in range(writers)]
    start = time.perf_counter()
    for done in ends:
        await loop.create_connection(lambda done=done: Writer(shared, done, taken), running.host, running.port)  # type: ignore[misc]
    async with asyncio.timeout(BUSY_SECONDS):
        await asyncio.gather(*ends)
    return time.perf_counter() - start, taken


def concurrent(running: Daemon, count: int, words: Words, folder: Path) -> list[Row]:
    """Sixteen callers at once."""
    whole = bare_fsync(folder)[1]
    seconds, taken = uvloop.run(together(running, requests(count, words, "many"), WRITERS))
    name = f"{WRITERS} concurrent writers"
    return [
        at_least(name, count / seconds, "adds/s", ADDS_A_SECOND, f"one bare fsync each: {1 / whole:.0f}/s"),
        latency(f"{name}, each add", taken, None),
    ]


def bulk(client: Http, count: int, words: Words) -> list[Row]:
    """Batches of a thousand, one after the other."""
    numbers = (range(start, min(count, start + BATCH)) for start in range(0, count, BATCH))
    bodies = [
        rendered(
            "POST",
            "/api/v1/bulk/memories",
            {"memories": [{"content": words.text(SHORT_WORDS), "topic": f"bulk-{i * TOPICS // count}"} for i in batch]},
        )
        for batch in numbers
    ]
    start = time.perf_counter()
    for body in bodies:
        client.send(body)
    seconds = time.perf_counter() - start
    return [at_least(f"bulk, {count} in batches of {BATCH}", count / seconds, "memories/s", BULK_A_SECOND)]


def measure(folder: Path, model: str, options: tuple[int, int, int]) -> list[Row]:
    """All three on one daemon; the vault is written before the next begins."""
    alone, many, much = options
    words = Words(11)
    with daemon(folder, model) as running:
        client = running.connect()

        def written() -> bool:
            return int(client.ask("GET", "/api/v1/status")["pending"]["mirror"]) == 0

        rows = lone(client, folder, alone, words)
        until(written, SETTLE_SECONDS, "the vault is written")
        say("lone adds done")
        rows += concurrent(running, many, words, folder)
        until(written, SETTLE_SECONDS, "the vault is written")
        say("concurrent adds done")
        rows += bulk(client, much, words)
        waited = until(written, SETTLE_SECONDS, "the vault is written")
        held = int(client.ask("GET", "/api/v1/status")["memories"])
        if held != alone + many + much:
            raise SystemExit(f"{alone + many + much} adds were acknowledged, {held} are there")
        rows.append(Row("after the bulk: all in their files", f"{waited:.2f} s"))
        client.close()
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--lone", type=int, default=500, help="lone adds")
    parser.add_argument("--concurrent", type=int, default=10_000, help="adds of the concurrent writers")
    parser.add_argument("--bulk", type=int, default=BULK, help="memories added in bulk")
    parser.add_argument("--embedding-model", default="", help="none: without vectors being filled in behind")
    options = parser.parse_args()
    counts = (options.lone, options.concurrent, options.bulk)
    with scratch(options.place) as folder:
        rows = measure(folder, options.embedding_model, counts)
    behind = "no vectors" if options.embedding_model == "none" else "vectors filling in behind"
    report(f"adds, {behind}", rows, options.json)


if __name__ == "__main__":
    main()

"""How long a search through HTTP takes, by words alone and with vectors, the model warm.

The memories' vectors are random: filling 100,000 in with the model would take over an hour, and the time of a search
does not depend on where they point. The question's own vector is the model's, and is made for each search.
Run from the repository: python -m bench.searches
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.running import (
    Http,
    Row,
    arguments,
    at_most,
    daemon,
    latency,
    memory_of,
    rendered,
    report,
    say,
    scratch,
    until,
)
from bench.running_words import Words
from hiveminddb.daemon.embedding.local import model_name
from hiveminddb.daemon.embedding.spec import shipped_model
from hiveminddb.store import schema, vectors
from hiveminddb.store.vectors import ActiveModel

DIMENSIONS = 384
BATCH = 5000
WORDS = 60
GROUP = 20
MODES = ("lexical", "hybrid")
# Milliseconds at p50, by memories and mode.
TARGETS = {10_000: {"lexical": 3.0, "hybrid": 15.0}, 100_000: {"lexical": 15.0, "hybrid": 40.0}}
RIVALS = {
    "lexical": "basic-memory text p50: 30-68 ms at 1,000",
    "hybrid": "basic-memory hybrid p50: 360-430 ms at 1,000",
}
LOAD_SECONDS = 900.0
MODEL_SECONDS = 60.0


def fill(folder: Path, count: int, words: Words) -> float:
    """Adds so many memories, twenty a topic, without vectors; memories a second, each batch on the disk."""
    spent = 0.0
    with daemon(folder, "none") as running:
        client = running.connect()
        for start in range(0, count, BATCH):
            batch = [
                {"content": words.text(WORDS), "topic": f"topic-{number // GROUP}"}
                for number in range(start, min(count, start + BATCH))
            ]
            request = rendered("POST", "/api/v1/bulk/memories", {"memories": batch})
            begin = time.perf_counter()
            client.send(request)
            spent += time.perf_counter() - begin
        until(lambda: mirrored(client), LOAD_SECONDS, "the vault is written")
        client.close()
    return count / spent


def mirrored(client: Http) -> bool:
    return int(client.ask("GET", "/api/v1/status")["pending"]["mirror"]) == 0


def fill_vectors(database: Path) -> int:
    """Gives every memory that has none a random vector under the shipped model; the daemon must not run."""
    name, rng = model_name(shipped_model().path), np.random.default_rng(3)
    connection = schema.open_writer(database)
    with connection:
        lacking = vectors.missing(connection, name, 10_000_000)
        for memory in lacking:
            vector = rng.standard_normal((1, DIMENSIONS), dtype=np.float32)
            vectors.put(connection, memory.text_hash, name, vector / np.linalg.norm(vector))
        vectors.activate(connection, ActiveModel(name, DIMENSIONS))
        # What asked for these vectors is answered.
        connection.execute("DELETE FROM to_embed")
    connection.close()
    return len(lacking)


def timed(client: Http, mode: str, queries: Sequence[str]) -> list[float]:
    """Seconds of each search; ends the script where a search was not made as asked."""
    taken = []
    for query in queries:
        request = rendered("POST", "/api/v1/search", {"query": query, "mode": mode})
        start = time.perf_counter()
        client.send(request)
        taken.append(time.perf_counter() - start)
        if client.headers.get("x-search-mode") != mode:
            raise SystemExit(f"asked for {mode}: {client.headers.get('x-search-note')}")
    return taken


def measure(folder: Path, count: int, queries: int) -> list[Row]:
    """One size: filled, given vectors, started anew and searched."""
    words = Words(31)
    rate = fill(folder, count, words)
    say(f"{count} memories added at {rate:.0f}/s; random vectors are being written")
    fill_vectors(folder / "data" / "hivemind.db")
    targets, rows = TARGETS.get(count, {}), []
    with daemon(folder) as running:
        client = running.connect()

        def ready() -> bool:
            embedding = client.ask("GET", "/api/v1/status")["embedding"]
            return bool(embedding["state"] == "ready" and embedding["missing"] == 0)

        until(ready, MODEL_SECONDS, "the model is loaded")
        timed(client, "hybrid", words.queries(5))
        for mode in MODES:
            first = timed(client, mode, asked := words.queries(queries))
            again = timed(client, mode, asked)
            rows.append(latency(f"{mode}, {count} memories", first, targets.get(mode), RIVALS[mode]))
            rows.append(latency(f"{mode}, {count} memories, the same queries again", again, None))
        held = memory_of(running.process.pid)
        rows.append(at_most(f"start with {count} memories and vectors", running.ready_s, "s"))
        rows.append(at_most(f"daemon's memory, {count} memories", held.resident, "MB", extra=f", PSS {held.share:.0f}"))
        client.close()
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--memories", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    rows: list[Row] = []
    for count in options.memories:
        with scratch(options.place) as folder:
            rows += measure(folder, count, options.queries)
    title = f"searches, {WORDS} words a memory, random vectors for the memories, the model's for the question"
    report(title, rows, options.json)


if __name__ == "__main__":
    main()

"""How long a search takes inside the store, by size, with and without vectors; and what the index costs to load."""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw
import numpy as np

from hiveminddb.store import schema
from hiveminddb.store.filters import Filters
from hiveminddb.store.index import Index
from hiveminddb.store.rows import MemoryRow, text_hash
from hiveminddb.store.search import Query, search
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vectors import Living

VOCABULARY = 30_000
WORDS = 60
GROUP = 20
USERS = 2
DIMENSIONS = 384
QUERY_WORDS = 6
START = 1_700_000_000_000_000
MINUTE = 60_000_000


class Words:
    """Repeatable texts with the frequencies of natural language."""

    def __init__(self, seed: int) -> None:
        spell = random.Random(seed)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il")]
        self._words = ["".join(spell.choices(syllables, k=2 + i // 3000)) for i in range(VOCABULARY)]
        shares = 1 / np.arange(1, VOCABULARY + 1)
        self._shares = np.cumsum(shares / shares.sum())
        self._rng = np.random.default_rng(seed)

    def text(self, length: int) -> str:
        """A text of that many words."""
        picked = np.searchsorted(self._shares, self._rng.random(length))
        return " ".join(self._words[i] for i in np.minimum(picked, VOCABULARY - 1).tolist())


def rows(words: Words, count: int) -> Iterator[MemoryRow]:
    """Memories of two users, twenty a session, a minute apart."""
    for i in range(count):
        text, at = words.text(WORDS), START + i * MINUTE
        session = f"session-{i // GROUP}"
        yield MemoryRow(
            f"{i:020d}", session, f"a{i % GROUP:05d}", "entry", text, 0, len(text), at, at, text_hash(text),
            user_id=f"user-{i // GROUP % USERS}", session_id=session, speaker=("Ann", "Ben")[i % 2],
        )  # fmt: skip


def fill(path: Path, words: Words, count: int) -> apsw.Connection:
    """A database with that many memories."""
    connection = schema.open_writer(path)
    schema.migrate(connection)
    transaction = Transaction(connection)
    transaction.marking = False
    connection.execute("BEGIN")
    transaction.put_new(list(rows(words, count)), range(1, count + 1))
    transaction.flush_index()
    connection.execute("COMMIT")
    return connection


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def report(name: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    print(f"  {name:38s} p50 {statistics.median(ordered):7.2f} ms   p95 {ordered[int(len(ordered) * 0.95)]:7.2f} ms")


def unit(rng: np.random.Generator, count: int) -> np.typing.NDArray[np.float32]:
    matrix = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(count: int, queries: int) -> None:
    """Prints everything about one size."""
    words, rng = Words(7), np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        connection = fill(Path(folder) / "speed.db", words, count)
        reader = schema.open_reader(Path(folder) / "speed.db")
        before = resident_mb()
        start = time.perf_counter()
        index = Index.load(reader)
        loaded = time.perf_counter() - start
        alone = resident_mb()
        index.use_vectors(DIMENSIONS, Living(index.view().columns.slot.copy(), unit(rng, count)))
        print(
            f"{count} memories: loaded in {loaded:.2f} s, index {alone - before:.0f} MB,"
            f" with vectors {resident_mb() - before:.0f} MB"
        )
        texts = [f"when did Ann {words.text(QUERY_WORDS)}?" for _ in range(queries)]
        vectors = unit(rng, queries)
        one_user = Filters(user_id="user-1")
        cases: tuple[tuple[str, bool, Filters], ...] = (
            ("lexical, terms read for the first time", False, Filters()),
            ("lexical", False, Filters()),
            ("lexical, half the rows by user", False, one_user),
            ("hybrid", True, Filters()),
            ("hybrid, half the rows by user", True, one_user),
            ("hybrid, one session", True, Filters(session_id="session-3")),
        )
        for name, with_vector, filters in cases:
            asked = [
                Query(text, vector if with_vector else None, filters)
                for text, vector in zip(texts, vectors, strict=True)
            ]
            report(name, [timed(lambda query=query: search(reader, index, query)) for query in asked])  # type: ignore[misc]
        reader.close()
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    for size in options.sizes:
        measure(size, options.queries)


if __name__ == "__main__":
    main()

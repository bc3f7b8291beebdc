"""Texts a second: the bare model in this process beside the supervised child, on the same texts, in turns."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from hiveminddb.daemon.embedding.local import LocalEmbedder
from hiveminddb.daemon.embedding.model import EmbeddingModel

MODEL = Path(str(files("hiveminddb.daemon") / "all-MiniLM-L6-v2.Q8_0.gguf"))
WORDS = """deploy billing cluster secret migration index latency queue retry token meeting notes Caroline Melanie
    painting support group yesterday decided because server folder markdown search memory agent review test""".split()
ROUNDS = 5


def texts(count: int, size: int) -> list[str]:
    """Repeatable prose of about `size` characters each."""
    chance = random.Random(7)
    return [" ".join(chance.choices(WORDS, k=max(1, size // 7))) for _ in range(count)]


def bare(model: EmbeddingModel, batch: Sequence[str]) -> float:
    start = time.perf_counter()
    for text in batch:
        for tokens in model.passages(text.encode()):
            model.embed(tokens)
    return time.perf_counter() - start


async def supervised(embedder: LocalEmbedder, batch: Sequence[str]) -> float:
    start = time.perf_counter()
    await embedder.embed_texts(batch)
    return time.perf_counter() - start


async def query_latency(embedder: LocalEmbedder, *, busy: bool) -> float:
    background = asyncio.create_task(embedder.embed_texts(texts(40, 1000))) if busy else None
    taken = []
    for _ in range(20):
        start = time.perf_counter()
        await embedder.embed_query("what did Caroline decide about the deployment?")
        taken.append(time.perf_counter() - start)
    if background:
        await background
    return statistics.median(taken)


async def main() -> None:
    model = EmbeddingModel(MODEL)
    async with LocalEmbedder(MODEL) as embedder:
        await embedder.embed_query("warm")
        for size, count in ((70, 100), (1000, 20)):
            batch = texts(count, size)
            pairs = [(bare(model, batch), await supervised(embedder, batch)) for _ in range(ROUNDS)]
            one, other = (count / statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{size:>5} characters: bare {one:7.1f}/s   supervised {other:7.1f}/s   ratio {ratio:.2f}")
        print(f"query: idle {await query_latency(embedder, busy=False) * 1e3:.1f} ms", end="   ")
        print(f"behind notes {await query_latency(embedder, busy=True) * 1e3:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())

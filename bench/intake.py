"""Taking in what other nodes wrote: changes a second, new memories and edits, beside what the node adds itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hiveminddb.daemon.authoring import add_drafts
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.pipeline import Pipeline, Put
from hiveminddb.model import Change, NodeId
from hiveminddb.store import changes
from hiveminddb.store.database import Database
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.clock import Clock
from hiveminddb.vault.topics import Topics

MEMORIES = 20_000
EDITS = 5_000
BATCH = 1_000
TOPICS = 50
TEXT = "The deploy of service {n} moved to the blue cluster; ask Ann about the rollback plan before touching it. " * 3

Work = Callable[[Transaction], object]


class Unwatched:
    def committed(self, put: Put) -> None:
        """Nobody looks."""


async def main() -> None:
    with TemporaryDirectory() as folder:
        async with Database(Path(folder) / "a.db") as here, Database(Path(folder) / "b.db") as there:
            await compare(here, there)


async def compare(here: Database, there: Database) -> None:
    node = Node("a")
    await timed("adds here, in batches", MEMORIES, map(node.adding, range(0, MEMORIES, BATCH)), here)
    await timed("edits here, in batches", EDITS, map(node.editing, range(0, EDITS, BATCH)), here)
    log = await here.read(lambda db: [change for _, change in changes.in_order(db, 0, 1 << 30)])
    other, new = Node("b"), len(log) - EDITS
    await timed("new memories of another node", new, map(other.taking, parts(log[:new])), there)
    await timed("edits of another node", EDITS, map(other.taking, parts(log[new:])), there)


class Node:
    """A pipeline, and works for its writer."""

    def __init__(self, name: str) -> None:
        self.topics, self.ids = Topics(), list[str]()
        self.pipeline = Pipeline(NodeId(name * 20), Clock(), Unwatched())
        self.intake = Intake(self.pipeline, self.topics)

    def adding(self, first: int) -> Work:
        drafts = [Draft(TEXT.format(n=n), topic=f"topic {n % TOPICS}") for n in range(first, first + BATCH)]
        return lambda tx: self.ids.extend(row.id for row in add_drafts(tx, self.pipeline, self.topics, drafts))

    def editing(self, first: int) -> Work:
        return lambda tx: [self._edited(tx, id) for id in self.ids[first : first + BATCH]]

    def _edited(self, tx: Transaction, id: str) -> MemoryRow:
        row = tx.memory(id)
        assert row is not None
        return self.pipeline.edit(tx, row, "update", Author("bench"), text=row.text.replace("blue", "green"))

    def taking(self, part: Sequence[Change]) -> Work:
        return lambda tx: self.intake.take(tx, part)


def parts(log: Sequence[Change]) -> Iterator[Sequence[Change]]:
    return (log[at : at + BATCH] for at in range(0, len(log), BATCH))


async def timed(name: str, count: int, works: Iterable[Work], database: Database) -> None:
    started = time.perf_counter()
    for work in works:
        await database.write(work)
    print(f"{name:32} {count / (time.perf_counter() - started):8.0f} a second")


if __name__ == "__main__":
    asyncio.run(main())

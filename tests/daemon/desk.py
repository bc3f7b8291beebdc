"""A mirror on a real disk with its database: it settles what it is told to; nothing rings, nobody else writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hiveminddb.daemon.commits import Bell, Commits
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.mirror.bases import NO_TEXT
from hiveminddb.daemon.mirror.mirror import Mirror
from hiveminddb.daemon.mirror.settling import Settler
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.tails import Tails
from hiveminddb.model import NodeId
from hiveminddb.store import memories
from hiveminddb.store.database import Database
from hiveminddb.store.index import Index
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultBase
from hiveminddb.sync.clock import Clock
from hiveminddb.vault.files import digest_of
from hiveminddb.vault.topics import Topics
from hiveminddb.vault.vault import Vault

DAY = "## 2026-01-0{} 10:00:00 UTC\n\n{}\n\n"
BAKING, SAILING = DAY.format(1, "how bread is baked at home"), DAY.format(2, "which wind carries a boat out to sea")


@dataclass
class Desk:
    """A mirror that works on what it is told to, its vault and its database."""

    mirror: Mirror
    vault: Path
    database: Database
    pipeline: Pipeline

    async def two_notes(self, second: str = SAILING) -> tuple[list[str], list[str]]:
        """A note in a.md and one in b.md, settled: the ids of their memories."""
        (self.vault / "a.md").write_text(BAKING)
        (self.vault / "b.md").write_text(second)
        await self.settle("a", "b")
        return await self.ids("a"), await self.ids("b")

    async def settle(self, *topics: str) -> None:
        await self.mirror._settle(topics)

    def begun(self, tx: Transaction, topic: str, text: str) -> None:
        """As it is when a file is about to be made."""
        tx.drop_vault_file(topic)
        tx.mark("mirror", topic, tx.counters.n)
        self.unrecorded(tx, topic, text)

    def unrecorded(self, tx: Transaction, topic: str, text: str) -> None:
        """As it is when a known file is about to get that text."""
        tx.put_vault_base(VaultBase(topic, tx.counters.n, tx.counters.n, "mirror", digest_of(text)), 64)

    def going(self, tx: Transaction, topic: str) -> None:
        """As it is when a file is about to be removed."""
        tx.put_vault_base(VaultBase(topic, tx.counters.n, tx.counters.n, "mirror", NO_TEXT), 64)

    async def say(self, id: str, text: str) -> None:
        """Another text from elsewhere."""

        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            self.pipeline.edit(tx, row, "update", Author("api"), text=text)

        await self.database.write(change)

    async def bring_back(self, id: str) -> None:
        """Restored elsewhere."""

        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            self.pipeline.edit(tx, row, "restore", Author("api"), fields={"invalidated": None})

        await self.database.write(change)

    async def move(self, id: str, topic: str) -> None:
        """Another topic from elsewhere."""

        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            self.pipeline.edit(tx, row, "move", Author("api"), fields={"topic": topic})

        await self.database.write(change)

    async def text(self, topic: str) -> str:
        rows = await self.database.read(lambda db: memories.entries_of(db, topic))
        return "".join(row.text for row in rows)

    async def ids(self, topic: str) -> list[str]:
        return [row.id for row in await self.database.read(lambda db: memories.entries_of(db, topic))]


def move(old: Path, new: Path) -> None:
    if old.exists() and not new.exists():
        old.rename(new)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    (folder / "vault").mkdir()
    async with Database(folder / "hivemind.db") as database:
        tails, topics, vault = Tails(), Topics(), Vault(folder / "vault")
        index = await database.read(Index.load)
        pipeline = Pipeline(NodeId("node"), Clock(), Commits(IndexInUse(index, ""), tails))
        vault.scan([])
        mirror = Mirror(database, Settler(pipeline, topics, tails), tails, vault, Bell())
        yield Desk(mirror, folder / "vault", database, pipeline)
        mirror._io.shutdown()

"""A vault of one file that is only a string: documents and decisions are real, the disk is not there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from hiveminddb.daemon.authoring import add_drafts
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.mirror.settling import Look, Settler
from hiveminddb.daemon.pipeline import Pipeline, Put
from hiveminddb.daemon.retiring import retire
from hiveminddb.daemon.tails import Tails
from hiveminddb.model import NodeId
from hiveminddb.store import memories
from hiveminddb.store.database import Database
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.clock import Clock
from hiveminddb.vault import markdown
from hiveminddb.vault.files import FileText, Stat, digest_of
from hiveminddb.vault.topics import Topics

T = TypeVar("T")

TOPIC = "notes"


class Unwatched:
    def committed(self, put: Put) -> None:
        """Nobody looks."""


class Paper:
    """`text` is what the file says, None where there is no file."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.pipeline = Pipeline(NodeId("node"), Clock(), Unwatched())
        self.topics = Topics()
        self.settler = Settler(self.pipeline, self.topics, Tails())
        self.topic = TOPIC
        self.text: str | None = None
        self._ticks = itertools.count(1)
        self._stat = Stat(0, 0, 0, 0)

    async def save(self, text: str, *, crash: bool = False) -> None:
        """Somebody writes the file, and the mirror comes round; `crash`: it dies after writing, before recording."""
        self.text = text
        self._stat = Stat(len(text.encode()), next(self._ticks), 0, 1)
        await self._come_round(Look(self.topic, FileText(text, digest_of(text), self._stat)), crash)

    async def save_and_move_on(self, text: str, others: str) -> FileText:
        """Somebody writes the file; when the mirror is to write what others wrote into it, it has moved on."""
        file = FileText(text, digest_of(text), Stat(len(text.encode()), next(self._ticks), 0, 1))
        todo = await self.write(lambda tx: self.settler.settle(tx, Look(self.topic, file)))
        assert todo and others in todo.text
        await self.write(lambda tx: self.settler.unwritten(tx, [todo]))
        return file

    async def remove(self) -> None:
        """Somebody removes the file, and the mirror comes round."""
        self.text = None
        await self._come_round(Look(self.topic))

    async def rename(self, topic: str, text: str | None = None, *, crash: bool = False) -> None:
        """Somebody gives the file another name, and perhaps another text, and the mirror comes round, or dies."""
        old, self.topic = self.topic, topic
        self.text = self.text if text is None else text
        assert self.text is not None
        self._stat = Stat(len(self.text.encode()), next(self._ticks), 0, 1)
        file = FileText(self.text, digest_of(self.text), self._stat)
        await self.write(lambda tx: self.settler.renamed(tx, (old, topic, file)))
        await self._come_round(Look(topic, file), crash)

    async def add(self, content: str) -> MemoryRow:
        """A memory through the API, and the mirror comes round."""
        row = (await self.add_unseen(content))[0]
        await self._come_round(Look(self.topic, unchanged=True))
        return row

    async def add_unseen(self, content: str) -> list[MemoryRow]:
        """A memory through the API that the mirror has not seen yet."""
        draft = Draft(content, topic=self.topic)
        return await self.write(lambda tx: add_drafts(tx, self.pipeline, self.topics, [draft]))

    async def edit(self, id: str, content: str) -> None:
        """Another content through the API, and the mirror comes round."""
        await self.edit_unseen(id, content)
        await self._come_round(Look(self.topic, unchanged=True))

    async def edit_unseen(self, id: str, content: str) -> None:
        """Another content through the API that the mirror has not seen yet."""
        await self._edit_unseen(id, lambda row: markdown.with_body(row.text, False, content))

    async def write_text_unseen(self, id: str, text: str) -> None:
        """Another text from another node, which the mirror has not seen yet."""
        await self._edit_unseen(id, lambda row: text)

    async def _edit_unseen(self, id: str, edited: Callable[[MemoryRow], str]) -> None:
        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            self.pipeline.edit(tx, row, "update", Author("api"), text=edited(row))

        await self.write(change)

    async def move_unseen(self, topic: str) -> None:
        """Another node gave the file another name, which the mirror has not seen yet."""

        def change(tx: Transaction) -> None:
            for row in tx.entries_of(self.topic):
                self.pipeline.edit(tx, row, "move", Author("file"), fields={"topic": topic})

        await self.write(change)

    async def come_round(self) -> None:
        """The mirror sees what the API, or another node, has done."""
        await self._come_round(Look(self.topic, unchanged=True))

    async def forget_unseen(self, id: str) -> None:
        """A memory invalidated through the API, which the mirror has not seen yet."""

        def change(tx: Transaction) -> None:
            row = tx.memory(id)
            assert row
            retire(tx, self.pipeline, row, Author("api"))

        await self.write(change)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        return await self.database.write(work)

    async def living(self) -> list[MemoryRow]:
        return await self.database.read(lambda db: memories.entries_of(db, self.topic))

    async def gone(self) -> list[MemoryRow]:
        return await self.database.read(lambda db: memories.invalidated_of(db, self.topic))

    async def _come_round(self, look: Look, crash: bool = False) -> None:
        todo = await self.write(lambda tx: self.settler.settle(tx, look))
        if todo is None:
            return
        self.text = todo.text or None
        self._stat = Stat(len(todo.text.encode()), next(self._ticks), 0, 2)
        if crash:
            return
        record = self.settler.written if todo.text else lambda tx, todo, _: self.settler.removed(tx, todo)
        await self.write(lambda tx: record(tx, todo, self._stat))

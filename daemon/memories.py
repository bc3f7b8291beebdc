"""The use cases: what a caller can ask of the memory. All flows meet here; the work is in the rooms."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from hiveminddb.answers import FeedChange, Imported, Line, TopicText
from hiveminddb.daemon import authoring, editing, past, retiring
from hiveminddb.daemon.adding import Adding, receipt
from hiveminddb.daemon.embedding_job import EmbeddingJob
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.guarantees import Acknowledging
from hiveminddb.daemon.intents import Blame, Draft, Filters, ImportFile, Patch, Search
from hiveminddb.daemon.mirror.takein import file_text
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.recall import Recall, store_filters
from hiveminddb.daemon.swarm_cases import Ack, ClaimCases, SwarmCases
from hiveminddb.daemon.upkeep import Upkeep
from hiveminddb.daemon.usecases import Added, Found, Page, Receipt, TopicWritten, Written
from hiveminddb.errors import Conflict, InvalidInput, NotFound
from hiveminddb.model import Action, DocumentId, Memory, Topic, Version
from hiveminddb.store import changes, history, listing, memories, topic_files, vault_state
from hiveminddb.store.database import Database
from hiveminddb.store.rows import MemoryRow, to_datetime, to_memory
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document, position
from hiveminddb.sync.clock import to_microseconds
from hiveminddb.vault.topics import Topics, path_of

T = TypeVar("T")

# A keyword as short as a letter is in nearly every line; nobody reads more than this.
MOST_LINES = 2000


class Memories:
    """Adds, reads and changes memories; every write goes through the pipeline, every read sees one moment."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        topics: Topics,
        recall: Recall,
        embedding: EmbeddingJob,
        upkeep: Upkeep,
        swarm: SwarmCases,
        claims: ClaimCases,
        acks: Acknowledging,
        looked: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database, self._pipeline, self._topics = database, pipeline, topics
        self._adding = Adding(database, pipeline, topics)
        self._recall, self._embedding, self._upkeep = recall, embedding, upkeep
        self.swarm, self.claims, self._acks, self._looked = swarm, claims, acks, looked
        self.status = upkeep.status
        self.resolve_vault = upkeep.resolve_vault
        self.doctor = upkeep.doctor

    async def add(self, drafts: Sequence[Draft], wait_vectors: bool = False, ack: Ack = "auto") -> Added:
        """New memories at the end of their topics; answered when they are durable, or have vectors where asked."""
        self._acks.begin(ack)
        added = await self._adding.add(drafts)
        receipt = await self._acks.end(added.receipt, added.counter, ack)
        if wait_vectors:
            await self._embedding.idle()
        return Added(tuple(map(to_memory, added.rows)), receipt)

    async def get(self, id: str) -> Memory:
        return to_memory(await self._database.read(lambda db: _row(memories.memory(db, memories.resolve_id(db, id)))))

    async def page(self, filters: Filters, limit: int, cursor: str | None) -> Page:
        wanted = store_filters(filters, self._topics)
        page, total = await self._database.read(
            lambda db: (listing.list_memories(db, wanted, limit, cursor), listing.count_memories(db, wanted))
        )
        return Page(tuple(map(to_memory, page.rows)), page.cursor, total)

    async def update(self, id: str, patch: Patch, blame: Blame, ack: Ack = "auto") -> Written:
        """Another content, other fields, another topic; Conflict on an invalidated memory or a stale version."""
        return await self._change(id, lambda tx, row: self._patched(tx, row, patch, _author(blame)), ack)

    async def forget(self, id: str, blame: Blame, ack: Ack = "auto") -> Written:
        return await self._change(id, lambda tx, row: retiring.retire(tx, self._pipeline, row, _author(blame)), ack)

    async def restore(self, id: str, blame: Blame, ack: Ack = "auto") -> Written:
        """It holds again; what was deleted from a file just now is, as a rule, what the caller means."""
        await self._looked((await self.get(id)).topic)
        return await self._change(id, lambda tx, row: retiring.revive(tx, self._pipeline, row, _author(blame)), ack)

    async def history(self, id: str) -> Sequence[Version]:
        return await self._database.read(lambda db: past.versions(history.steps_of(db, memories.resolve_id(db, id))))

    async def search(self, search: Search) -> Found:
        return await self._recall.search(search)

    async def topics(self) -> Sequence[Topic]:
        rows = await self._database.read(listing.topics)
        return [
            Topic(row.topic, path_of(row.topic), row.memories, row.size_bytes, to_datetime(row.updated_at))
            for row in rows
        ]

    async def topic(self, name: str) -> TopicText:
        """The file as it is or is about to be; NotFound for a topic without a living memory."""
        topic = self._topics.resolve(name)
        rows, file = await self._database.read(
            lambda db: (memories.entries_of(db, topic), vault_state.vault_file(db, topic))
        )
        # A file of nothing but blanks has no document, and yet it is there.
        if not rows and file is None:
            raise NotFound(f"topic not found: {name}", "list the topics there are with `hmd topics`")
        return TopicText(topic, path_of(topic), file_text(rows), tuple(to_memory(row) for row in rows if row.listed))

    async def forget_topic(self, name: str, blame: Blame, ack: Ack = "auto") -> TopicWritten:
        topic = self._topics.resolve(name)
        return TopicWritten(topic, *await self._write(lambda tx: self._retired(tx, topic, name, _author(blame)), ack))

    async def restore_topic(self, name: str, blame: Blame, ack: Ack = "auto") -> TopicWritten:
        topic = self._topics.resolve(name)
        await self._looked(topic)
        return TopicWritten(topic, *await self._write(lambda tx: self._revived(tx, topic, name, _author(blame)), ack))

    async def import_files(self, files: Sequence[ImportFile], ack: Ack = "auto") -> Imported:
        """Take markdown files in as they are; what a topic has already is not added twice."""
        imported, receipt = await self._write(lambda tx: self._upkeep.imported(tx, files), ack)
        return dataclasses.replace(imported, status=receipt.status, seq=receipt.seq)

    async def lines(self, keyword: str) -> Sequence[Line]:
        """Lines of living files that hold the keyword, letter case aside; at most MOST_LINES of them."""
        if not keyword:
            raise InvalidInput("keyword is empty", "name a word or phrase to look for")
        return await self._database.read(
            lambda db: [
                line
                for topic in topic_files.living_with(db, keyword)
                for line in _lines(topic, memories.entries_of(db, topic), keyword.lower())
            ][:MOST_LINES]
        )

    async def changes(self, after: int, limit: int) -> Sequence[FeedChange]:
        rows = await self._database.read(lambda db: changes.feed(db, after, limit))
        return [
            FeedChange(
                row.n, row.seq, DocumentId(row.document), row.action, row.actor, row.reason,
                to_datetime(to_microseconds(row.hlc)), row.topic,
            )
            for row in rows
        ]  # fmt: skip

    async def _write(self, work: Callable[[Transaction], T], ack: Ack) -> tuple[T, Receipt]:
        def with_receipt(tx: Transaction) -> tuple[T, int, Receipt]:
            result, node = work(tx), self._pipeline.origin
            counter = tx.next_counter(node) - 1
            return result, counter, receipt(tx, node, counter)

        self._acks.begin(ack)
        result, counter, now = await self._database.write(with_receipt)
        return result, await self._acks.end(now, counter, ack)

    async def _change(self, id: str, work: Callable[[Transaction, MemoryRow], MemoryRow], ack: Ack) -> Written:
        def on_row(tx: Transaction) -> MemoryRow:
            return work(tx, _row(tx.memory(memories.resolve_id(tx.connection, id))))

        row, receipt = await self._write(on_row, ack)
        return Written(to_memory(row), receipt)

    def _patched(self, tx: Transaction, row: MemoryRow, patch: Patch, author: Author) -> MemoryRow:
        if not row.alive:
            raise Conflict(f"memory {row.id} is invalidated", "restore it first")
        editing.refuse_stale(row, patch.version)
        state = self._pipeline.state(tx, row.id)
        fields = editing.new_fields(patch, document.read(state).fields)
        topic = self._topics.resolve(patch.topic) if patch.topic else row.topic
        if topic != row.topic:
            fields |= self._moved(tx, row, topic, patch.topic or topic, author)
        text = editing.new_text(row, patch.edit)
        action: Action = "move" if topic != row.topic and text is None else "update"
        return self._pipeline.edit(tx, row, action, author, text=text, fields=fields, state=state)

    def _moved(self, tx: Transaction, row: MemoryRow, topic: str, title: str, author: Author) -> dict[str, str]:
        if row.role == HEAD:
            raise Conflict(f"memory {row.id} is the head of its file", "rename the file itself to move it")
        self._pipeline.add(tx, authoring.opening(tx, topic, title, author.actor))
        self._topics.add(topic)
        return {"topic": topic, "position": position.between(authoring.last_position(tx, topic), None)}

    def _retired(self, tx: Transaction, topic: str, name: str, author: Author) -> int:
        if topic_files.is_empty(tx.connection, topic):
            raise NotFound(f"topic not found: {name}", "list the topics there are with `hmd topics`")
        return retiring.retire_topic(tx, self._pipeline, topic, author)

    def _revived(self, tx: Transaction, topic: str, name: str, author: Author) -> int:
        if not memories.invalidated_of(tx.connection, topic):
            raise NotFound(f"nothing to restore in topic: {name}", "list what was removed with `hmd log`")
        self._topics.add(topic)
        return retiring.revive_topic(tx, self._pipeline, topic, author)


def _author(blame: Blame) -> Author:
    return Author(blame.changed_by or authoring.CALLER, blame.reason)


def _row(row: MemoryRow | None) -> MemoryRow:
    assert row is not None, "a resolved id has a row"
    return row


def _lines(topic: str, rows: Sequence[MemoryRow], keyword: str) -> list[Line]:
    path = path_of(topic)
    lines = file_text(rows).split("\n")
    return [Line(topic, path, n, line.rstrip()) for n, line in enumerate(lines, 1) if keyword in line.lower()]

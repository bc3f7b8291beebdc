"""A node without a network and without a disk's files: its store, its documents and a vault of strings are real."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hiveminddb.daemon import past
from hiveminddb.daemon.authoring import add_drafts
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.mirror.settling import Look, Settler
from hiveminddb.daemon.mirror.takein import file_text
from hiveminddb.daemon.pipeline import Pipeline, Put
from hiveminddb.daemon.projection import ENTRY
from hiveminddb.daemon.retiring import retire, retire_topic, revive
from hiveminddb.daemon.tails import Tails
from hiveminddb.model import Change, NodeId, Version
from hiveminddb.store import changes, history, memories, outbox, schema
from hiveminddb.store.rebuild import rebuild
from hiveminddb.store.rows import COLUMNS, MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document
from hiveminddb.sync.clock import Clock
from hiveminddb.vault.files import FileText, Stat, digest_of
from hiveminddb.vault.topics import Topics
from tests.store.making import share

T = TypeVar("T")

ME = Author("person")
_PORTABLE = ", ".join(name for name in COLUMNS.split(", ") if name != "slot")


class Unwatched:
    def committed(self, put: Put) -> None:
        """Nobody looks."""


class Island:
    """`files` is what the vault's files say, by topic."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = NodeId(name)
        self.connection = schema.open_writer(folder / f"{name}.db")
        schema.migrate(self.connection)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.pipeline = Pipeline(self.name, Clock(), Unwatched())
        self.topics = Topics()
        self.settler = Settler(self.pipeline, self.topics, Tails())
        self.intake = Intake(self.pipeline, self.topics)
        self.files: dict[str, str] = {}
        self._stats: dict[str, Stat] = {}
        self._ticks = itertools.count(1)
        self.write(share)

    def write(self, work: Callable[[Transaction], T]) -> T:
        tx = Transaction(self.connection)
        found = tx.run(work)
        tx.flush_index()
        for callback in tx.committed():
            callback()
        return found

    # -- what people and agents do

    def add(self, topic: str, content: str, **fields: Any) -> MemoryRow:
        draft = Draft(content, topic=topic, **fields)
        return self.write(lambda tx: add_drafts(tx, self.pipeline, self.topics, [draft])[0])

    def edit(self, id: str, text: str | None = None, **fields: Any) -> None:
        self.write(lambda tx: self.pipeline.edit(tx, self.row(id), "update", ME, text=text, fields=fields))

    def forget(self, id: str) -> None:
        self.write(lambda tx: retire(tx, self.pipeline, self.row(id), ME))

    def forget_topic(self, topic: str) -> None:
        self.write(lambda tx: retire_topic(tx, self.pipeline, topic, ME))

    def restore(self, id: str) -> None:
        self.write(lambda tx: revive(tx, self.pipeline, self.row(id), ME))

    def save(self, topic: str, text: str) -> None:
        """Somebody writes a file, and the mirror comes round."""
        self.files[topic] = text
        self._stats[topic] = Stat(len(text.encode()), next(self._ticks), 0, 1)
        self._settle(topic, Look(topic, FileText(text, digest_of(text), self._stats[topic])))

    def remove(self, topic: str) -> None:
        """Somebody removes a file, and the mirror comes round."""
        del self.files[topic]
        self._settle(topic, Look(topic))

    def rename(self, old: str, new: str) -> None:
        """Somebody renames a file, and the mirror sees that it was renamed."""
        self.files[new], self._stats[new] = self.files.pop(old), self._stats.pop(old)
        file = FileText(self.files[new], digest_of(self.files[new]), self._stats[new])
        self.write(lambda tx: self.settler.renamed(tx, (old, new, file)))
        self.mirror()

    def mirror(self) -> None:
        """The mirror does all that it was asked for."""
        while marks := outbox.pending(self.connection, "mirror", 100):
            for mark in marks:
                self._settle(mark.key, Look(mark.key, unchanged=True))

    def _settle(self, topic: str, look: Look) -> None:
        todo = self.write(lambda tx: self.settler.settle(tx, look))
        if todo is None:
            return
        if not todo.text:
            self.files.pop(topic, None)
            self.write(lambda tx: self.settler.removed(tx, todo))
            return
        self.files[topic] = todo.text
        self._stats[topic] = stat = Stat(len(todo.text.encode()), next(self._ticks), 0, 2)
        self.write(lambda tx: self.settler.written(tx, todo, stat))

    # -- what the network does

    def log(self) -> list[Change]:
        return [change for _, change in changes.in_order(self.connection, 0, 1 << 30)]

    def take(self, some: Sequence[Change]) -> int:
        return self.write(lambda tx: self.intake.take(tx, some)).new

    def hear(self, other: Island) -> int:
        """Anti-entropy, one way, to the end."""
        found, _ = changes.changes_after(other.connection, changes.version_vector(self.connection), 1 << 40)
        return self.take(found)

    # -- what there is

    def row(self, id: str) -> MemoryRow:
        row = memories.memory(self.connection, id)
        assert row is not None
        return row

    def living(self, topic: str) -> list[MemoryRow]:
        return memories.entries_of(self.connection, topic)

    def contents(self, topic: str) -> list[str]:
        return [row.content for row in self.living(topic) if row.role == ENTRY]

    def history(self, id: str) -> list[Version]:
        return past.versions(history.steps_of(self.connection, id))

    def all_texts(self) -> str:
        """What every memory ever said, with its headings."""
        ids = [id for (id,) in self.connection.execute("SELECT id FROM memories")]
        updates = ([step.update for step in past.ordered(history.steps_of(self.connection, id))] for id in ids)
        return "".join(content.text for some in updates for content in document.steps(some))

    def portable(self) -> dict[str, Any]:
        """All that must be the same on nodes with the same changes."""
        ids = [id for (id,) in self.connection.execute("SELECT id FROM memories ORDER BY id")]
        query = f"SELECT {_PORTABLE} FROM memories ORDER BY id"
        return {
            "memories": self.connection.execute(query).fetchall(),
            "tags": self.connection.execute("SELECT * FROM memory_tags ORDER BY 1, 2").fetchall(),
            "histories": {id: self.history(id) for id in ids},
            "files": dict(sorted(self.files.items())),
        }

    def local(self) -> dict[str, Any]:
        """All that a rebuild must make the same again."""
        tables = ("memories", "memory_tags", "past")
        rows = {table: self.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}
        documents = self.connection.execute("SELECT id, kind, n FROM documents ORDER BY id").fetchall()
        return {**rows, "documents": documents}

    def rebuild(self) -> None:
        def anew(tx: Transaction) -> None:
            with self.pipeline.replaying(tx):
                rebuild(tx, self.pipeline.absorb)

        self.write(anew)


@contextmanager
def islands(*names: str) -> Iterator[list[Island]]:
    """Nodes that know nothing of each other yet."""
    with TemporaryDirectory() as folder:
        made = [Island(name, Path(folder)) for name in names]
        try:
            yield made
        finally:
            for island in made:
                island.connection.close()


def meet(some: Sequence[Island], chance: random.Random | None = None) -> None:
    """Everybody hears everything, until nobody has anything to say; then the mirrors come round."""
    pairs = [(one, other) for one in some for other in some if one is not other]
    while True:
        (chance or random.Random(1)).shuffle(pairs)
        if not sum([one.hear(other) for one, other in pairs]):
            break
    for one in some:
        one.mirror()


def agree(some: Sequence[Island]) -> None:
    """All are the same, and what each says is what a rebuild makes of its changes."""
    first = some[0].portable()
    for other in some[1:]:
        assert other.portable() == first
    for one in some:
        before = one.local()
        one.rebuild()
        assert one.local() == before
        assert one.portable() == first
        for topic, text in one.files.items():
            assert not text.strip() or file_text(one.living(topic)) == text

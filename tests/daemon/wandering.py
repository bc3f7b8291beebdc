"""Nodes with a folder of files each, and people who rename, move, remove and edit whatever is there, in turns that a
seed chooses: the mirrors look at any part of what has happened, and hear of each other at any moment.

Disk, database, documents and decisions are real. Only time is not: whoever pauses lets others go on, and nobody waits.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.hands.hand import Hand, read
from bench.hands.ledger import Ledger, tokens_in
from bench.hands.roamer import ROOM, Roamer
from bench.hands.world import World
from hiveminddb.daemon.authoring import add_drafts, last_position
from hiveminddb.daemon.commits import Bell, Commits
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.mirror.filework import same
from hiveminddb.daemon.mirror.mirror import Mirror
from hiveminddb.daemon.mirror.settling import Settler
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.retiring import retire, revive
from hiveminddb.daemon.tails import Tails
from hiveminddb.model import NodeId
from hiveminddb.store import changes, outbox, schema, topic_files, vault_state
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.index import Index
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import position
from hiveminddb.sync.clock import Clock
from hiveminddb.vault import files, markdown
from hiveminddb.vault.topics import Topics, path_of, topic_of
from hiveminddb.vault.vault import Vault
from tests.daemon.interleaved import Baton, Interrupted, Killed

T = TypeVar("T")

BY_API = Author("api")
ROUNDS_TO_REST = 200
ALL = 1 << 40


class Daemon:
    """Mirrors some of what there is to mirror, hears of others, and dies, until the people are done."""

    def __init__(self, person: Walker, baton: Baton, name: str, apart: bool) -> None:
        self.person, self.world, self.name, self._apart = person, person.world, name, apart
        self._chance, self._baton = person.chance, baton
        self.others: list[Daemon] = []
        self._alive: tuple[asyncio.AbstractEventLoop, Database, Pipeline, Topics] | None = None

    @property
    def path(self) -> Path:
        return self.world.data / "hivemind.db"

    def work(self) -> None:
        asyncio.run(self._work())

    def rest(self) -> bool:
        """Everything that is to be done here and now; whether that was anything."""
        return asyncio.run(self._rest())

    def call(self, work: Callable[[Transaction, Pipeline, Topics], T]) -> T | None:
        """A request of the API; None while nobody answers."""
        if (alive := self._alive) is None:
            return None
        loop, database, pipeline, topics = alive
        writing = database.write(lambda tx: work(tx, pipeline, topics))
        return asyncio.run_coroutine_threadsafe(writing, loop).result()

    async def _work(self) -> None:
        while not self._baton.over:
            await self._live(self._chance.choice([3, 10, 40]))
            await self._be_dead(self._chance.choice([0, 30, 150]) if self._apart else 0)

    async def _be_dead(self, steps: int) -> None:
        for _ in range(steps):
            if self._baton.over:
                break
            await self._free(lambda: self._baton.step(self.name))

    async def _live(self, rounds: int) -> None:
        async with Database(self.path) as self._database:
            mirror = await self._mirror()
            mirror._hands = Interrupted(self._vault.swap, self._between)
            self._alive = asyncio.get_running_loop(), self._database, self._pipeline, self._topics
            self._is_cut_off = self._apart and self._chance.random() < 0.3
            try:
                await self._start(mirror)
                for _ in range(rounds):
                    if self._baton.over:
                        break
                    await self._free(lambda: self._baton.step(self.name))
                    await self._act(mirror)
            except Killed:
                self.world.ledger.did("killed")
            finally:
                self._alive = None
                mirror._io.shutdown()

    async def _start(self, mirror: Mirror) -> None:
        """What a daemon does first: in its order, with so much to do that the rest comes later."""
        await mirror._scan()
        await mirror._take_late()
        with mirror._agenda.taken(self._chance.choice([1, 3, 512]), 0.0) as some:
            self.world.ledger.did(f"starts with {len(some)}", ", ".join(some))
            await mirror._settle(some)

    async def _act(self, mirror: Mirror) -> None:
        if self._chance.random() < 0.3 and not self._is_cut_off:
            other = self._chance.choice(self.others)
            await self._hear(other, self._chance.choice([ALL, 3000]))
        else:
            await self._round(mirror, self._chance.choice([0.3, 0.7, 1.0]))

    async def _mirror(self) -> Mirror:
        tails = Tails()
        index = await self._database.read(Index.load)
        self._topics = topics = Topics(await self._database.read(topic_files.living_topics))
        clock = Clock(await self._database.read(changes.last_hlc))
        self._pipeline = pipeline = Pipeline(NodeId(self.name), clock, Commits(IndexInUse(index, ""), tails))
        self._intake = Intake(pipeline, topics)
        self._vault = Vault(self.world.vault)
        self._vault.scan([])
        return Mirror(self._database, Settler(pipeline, topics, tails), tails, self._vault, Bell())

    async def _round(self, mirror: Mirror, part: float) -> None:
        """Look at a part of what there is to look at; who has been looked at in vain is gone."""
        renaming = mirror._renaming
        due = await self._due()
        # A real mirror waits a second for a file that an editor takes away for a moment.
        if part == 1.0 and not self.person.is_saving:
            for topic in renaming._since:
                renaming._since[topic] = float("-inf")
        some = {topic for topic in due if self._chance.random() < part}
        # Of the two halves of a rename the system tells the old name first.
        some |= {topic for topic in due if not (self.world.vault / path_of(topic)).exists()} if some else set()
        await mirror._take_late()
        self.world.ledger.did(f"looks at {len(some)} of {len(due)}", ", ".join(sorted(some)))
        if some:
            await mirror._settle(mirror._hands.vanished_first(sorted(some)))

    async def _due(self) -> list[str]:
        def due(connection: Connection) -> list[str]:
            known = {file.topic: file for file in vault_state.vault_files(connection)}
            there = {topic_of(name) for name in _files(self.world.vault)}
            marks = {mark.key for mark in outbox.pending(connection, "mirror", ALL)}
            for topic in known.keys() | there:
                stat = files.look(self.world.vault, path_of(topic))
                if stat is None or not same(known.get(topic), stat):
                    marks.add(topic)
            return sorted(marks)

        return await self._database.read(due)

    async def _hear(self, other: Daemon, most: int) -> int:
        if not other.path.exists():
            return 0
        vector = await self._database.read(changes.version_vector)
        connection = schema.open_reader(other.path)
        try:
            found, _ = changes.changes_after(connection, vector, most)
        finally:
            connection.close()
        new = (await self._database.write(lambda tx: self._intake.take(tx, found))).new
        self.world.ledger.did(f"hears {new} changes of {other.name}")
        return new

    async def _rest(self) -> bool:
        async with Database(self.path) as self._database:
            mirror = await self._mirror()
            heard = sum([await self._hear(other, ALL) for other in self.others])
            rounds = 0
            while await self._due():
                await self._round(mirror, 1.0)
                rounds += 1
                assert rounds < ROUNDS_TO_REST, f"no rest: {await self._due()}"
            mirror._io.shutdown()
            return heard + rounds > 0

    async def _free(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    def _between(self) -> None:
        self._baton.step(self.name)
        if not self._baton.over and self._chance.random() < 0.02:
            raise Killed


class Walker(Roamer):
    """A roamer whose pauses are others' turns."""

    def __init__(self, world: World, chance: random.Random, baton: Baton, name: str) -> None:
        super().__init__(world, chance)
        self._baton, self._name = baton, name

    is_saving = False

    def pause(self) -> None:
        if self.chance.random() < 0.7:
            self.is_saving = True
            self._baton.step(self._name)
            self.is_saving = False

    def hold(self, seconds: float) -> None:
        for _ in range(self.chance.choice([1, 3, 20]) if seconds else 0):
            self._baton.step(self._name)

    def run(self, *works: Callable[[], None]) -> None:
        while not self._baton.over:
            self.chance.choice(works)()
            for _ in range(self.chance.choice([0, 1, 5, 20])):
                self._baton.step(self._name)


class Mover(Walker):
    """One who mostly gives files other names, and uses few, so that others still mean the file before by them."""

    numbers = 6

    def work(self) -> None:
        self._create()
        works = (self._append, self._edit, self._edit, self._edit, self._create, self._rename_folder, self._remove)
        self.run(*works, *[self._rename] * 5)


class Caller(Hand):
    """Adds, changes, moves, forgets and restores what anybody has made, through the API of one node."""

    def __init__(self, world: World, chance: random.Random, baton: Baton, name: str, daemon: Daemon) -> None:
        super().__init__(world, chance)
        self._baton, self._name, self._daemon = baton, name, daemon
        self._gone: list[str] = []

    def work(self) -> None:
        works = (self._add, self._add, self._change, self._change, self._change, self._move, self._forget)
        while not self._baton.over:
            self.chance.choice((*works, self._restore))()
            for _ in range(self.chance.choice([1, 5, 20])):
                self._baton.step(self._name)

    def _add(self) -> None:
        if row := self._any():
            draft = Draft(self.text(), topic=row.topic)
            rows = self._daemon.call(lambda tx, pipeline, topics: add_drafts(tx, pipeline, topics, [draft]))
            self._wrote("added", row.topic, draft.content if rows else "")

    def _change(self) -> None:
        if found := self._any():
            text = self.text()
            before = self.chance.random() < 0.5

            def change(tx: Transaction, pipeline: Pipeline, _: Topics) -> bool:
                row = tx.memory(found.id)
                assert row
                content = f"{text}\n\n{row.content}" if before else f"{row.content}\n\n{text}"
                new = markdown.with_body(row.text, row.role == HEAD, content)
                return row.alive and bool(pipeline.edit(tx, row, "update", BY_API, text=new))

            self._wrote("changed", found.topic, text if self._daemon.call(change) else "")

    def _move(self) -> None:
        if (found := self._any()) and (to := self._any()) and found.role != HEAD:

            def move(tx: Transaction, pipeline: Pipeline, _: Topics) -> None:
                row, end = tx.memory(found.id), position.between(last_position(tx, to.topic), None)
                assert row
                if row.alive and row.topic != to.topic:
                    pipeline.edit(tx, row, "move", BY_API, fields={"topic": to.topic, "position": end})

            self._daemon.call(move)
            self.world.ledger.did("api: moved", f"from {found.topic} to {to.topic}", tokens_in(found.text))

    def _forget(self) -> None:
        if self.chance.random() < 0.5 and (found := self._any()):

            def forget(tx: Transaction, pipeline: Pipeline, _: Topics) -> str:
                row = tx.memory(found.id)
                assert row
                return retire(tx, pipeline, row, BY_API).text if row.alive else ""

            if gone := self._daemon.call(forget):
                self.world.ledger.remove(tokens_in(gone))
                self.world.ledger.did("api: forgot", found.topic, went=tokens_in(gone))
                self._gone.append(found.id)

    def _restore(self) -> None:
        if not self._gone:
            return
        id = self._gone.pop(self.chance.randrange(len(self._gone)))

        def restore(tx: Transaction, pipeline: Pipeline, _: Topics) -> str:
            row = tx.memory(id)
            assert row
            return "" if row.alive else revive(tx, pipeline, row, BY_API).text

        if back := self._daemon.call(restore):
            # Its file may just have been removed.
            self.world.ledger.unsure(tokens_in(back))
            self.world.ledger.did("api: restored", "", tokens_in(back))

    def _any(self) -> MemoryRow | None:
        def living(tx: Transaction, *_: object) -> list[MemoryRow]:
            return [row for topic in topic_files.living_topics(tx.connection) for row in tx.entries_of(topic)]

        rows = sorted(self._daemon.call(living) or [], key=lambda row: (row.topic, row.text))
        return self.chance.choice(rows) if rows else None

    def _wrote(self, how: str, topic: str, text: str) -> None:
        tokens = tokens_in(text)
        self.world.ledger.fork(tokens)
        self.world.ledger.wrote(tokens, topic)
        self.world.ledger.did(f"api: {how}", topic, tokens)


def life(
    folder: Path,
    seed: int,
    nodes: int = 2,
    steps: int = 1500,
    *,
    api: bool = False,
    apart: bool = False,
    moving: bool = False,
) -> tuple[list[str], Ledger]:
    """What is wrong at the end of a life of so many folders.

    `api`: with callers of the API; `apart`: with daemons dead or cut off for long; `moving`: most that people do is
    to give files other names, of which there are few.
    """
    chance, baton, ledger = random.Random(seed), Baton(random.Random(seed + 1)), Ledger()

    def own() -> random.Random:
        return random.Random(chance.random())

    daemons, works = list[Daemon](), dict[str, Callable[[], None]]()
    for name in "abcde"[:nodes]:
        for part in (f"vault/{ROOM}", "data", "outside"):
            (folder / name / part).mkdir(parents=True)
        home = folder / name
        world = World(home / "vault", home / "data", home / "outside", ledger, threading.Event(), {})
        person = (Mover if moving else Walker)(world, own(), baton, f"person {name}")
        daemons.append(Daemon(person, baton, name, apart))
        works[name] = daemons[-1].work
        # Two people here would overwrite each other's words before any mirror could have seen them.
        works[f"person {name}"] = daemons[-1].person.work
        if api:
            works[f"caller {name}"] = Caller(world, own(), baton, f"caller {name}", daemons[-1]).work
    for daemon in daemons:
        daemon.others = [it for it in daemons if it is not daemon]
    baton.run(works, steps)
    for failure in baton.failures:
        raise failure
    while any([daemon.rest() for daemon in daemons]):
        pass
    return [*_wrong(daemons, ledger)], ledger


def _wrong(daemons: Sequence[Daemon], ledger: Ledger) -> list[str]:
    texts = [_texts(daemon.world.vault) for daemon in daemons]
    found = []
    for daemon, own in zip(daemons[1:], texts[1:], strict=True):
        for name in sorted(own.keys() | texts[0].keys()):
            # A file of nothing but blanks may stay as a person has left it.
            if own.get(name, "").strip() != texts[0].get(name, "").strip():
                found.append(f"{name} differs: a {texts[0].get(name)!r} {daemon.name} {own.get(name)!r}")
    there = set(tokens_in("".join(texts[0].values())))
    found += [f"lost: {token} written to {where}" for token, where in ledger.expected().items() if token not in there]
    # A file saved under a name that it had lost elsewhere is two, and entries may be moved from the one to the other.
    parts = {name: markdown.pieces(text) for name, text in texts[0].items()}
    for name, tokens in ((name, tokens_in(part)) for name, some in parts.items() for part in some):
        found += [f"doubled in {name}: {token}" for token in set(tokens) if tokens.count(token) > 1]
    return found


def _texts(vault: Path) -> dict[str, str]:
    return {name: read(vault / name) or "" for name in _files(vault)}


def _files(vault: Path) -> list[str]:
    found = (path.relative_to(vault) for path in vault.rglob("*.md"))
    return [str(path) for path in found if not path.parts[0].startswith(".")]

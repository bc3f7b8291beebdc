"""One topic, its daemon and everybody who writes to it in turns that a seed chooses: what goes wrong goes wrong again.

Disk, database and decisions are real. Only time is not: each hand stops at every point where another could come in
between, and nobody waits. A daemon dies by losing all it had in memory.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.hands.hand import read
from bench.hands.ledger import Ledger, Turns, tokens_in
from bench.hands.person import Person
from bench.hands.world import World
from bench.saving import AgentMemory
from hiveminddb.daemon.authoring import add_drafts
from hiveminddb.daemon.commits import Bell, Chime, Commits
from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.intents import Draft
from hiveminddb.daemon.mirror.filework import ROUND_BYTES, FileWork, Looks, Outcome
from hiveminddb.daemon.mirror.mirror import Mirror
from hiveminddb.daemon.mirror.settling import Settler, Todo
from hiveminddb.daemon.mirror.takein import file_text
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.retiring import retire, revive
from hiveminddb.daemon.tails import Addition, Tails
from hiveminddb.model import NodeId
from hiveminddb.store import changes, memories, topic_files
from hiveminddb.store.database import Database
from hiveminddb.store.index import Index
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.sync.clock import Clock
from hiveminddb.vault import markdown
from hiveminddb.vault.held import Written
from hiveminddb.vault.swap import Swap
from hiveminddb.vault.topics import Topics
from hiveminddb.vault.vault import Vault

TOPIC = "notes"
ROUNDS_TO_REST = 50


class Killed(Exception):
    """The daemon died here."""


class Baton:
    """Lets one hand go on at a time, from one of its steps to the next."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._back = threading.Semaphore(0)
        self._turns: dict[str, threading.Semaphore] = {}
        self.failures: list[BaseException] = []
        # The hands shall come to an end; and, later, only the last of them is left.
        self.over = self.alone = False

    def run(self, hands: Mapping[str, Callable[[], None]], steps: int, last: str = "") -> None:
        """So many steps of hands chosen by chance, then all but `last` to their ends, and that one."""
        threads = {
            name: threading.Thread(target=self._hand, args=(name, work), name=name) for name, work in hands.items()
        }
        for name, thread in threads.items():
            self._turns[name] = threading.Semaphore(0)
            thread.start()
        for _ in range(steps):
            self._go(self._chance.choice(sorted(self._turns)))
        self.over = True
        while self._turns.keys() - {last}:
            self._go(self._chance.choice(sorted(self._turns)))
        self.alone = True
        while self._turns:
            self._go(last)
        for thread in threads.values():
            thread.join()

    def step(self, name: str) -> None:
        """Others may come in between here."""
        self._back.release()
        self._turns[name].acquire()

    def _go(self, name: str) -> None:
        self._turns[name].release()
        self._back.acquire()

    def _hand(self, name: str, work: Callable[[], None]) -> None:
        self._turns[name].acquire()
        try:
            work()
        except BaseException as failure:
            self.failures.append(failure)
        del self._turns[name]
        self._back.release()


class Interrupted(FileWork):
    """The mirror's hands; others come in before and after each thing they do."""

    def __init__(self, swap: Swap, between: Callable[[], None]) -> None:
        super().__init__(swap)
        self._between = between

    def look(self, topics: Sequence[str], known: Mapping[str, VaultFile], most: int = ROUND_BYTES) -> Looks:
        found = super().look(topics, known, most)
        self._between()
        return found

    def write(self, todos: Sequence[Todo]) -> tuple[list[Outcome], list[Todo]]:
        self._between()
        done = super().write(todos)
        self._between()
        return done

    def append(self, additions: Sequence[tuple[Addition, VaultFile]]) -> list[Written | None]:
        self._between()
        written = super().append(additions)
        self._between()
        return written


class Hands(Interrupted):
    """Those of the one topic: its file is waited for while somebody replaces it."""

    def __init__(self, swap: Swap, turns: Turns, between: Callable[[], None]) -> None:
        super().__init__(swap, between)
        self._turns = turns

    def look(self, topics: Sequence[str], known: Mapping[str, VaultFile], most: int = ROUND_BYTES) -> Looks:
        self._between()
        while self._turns.replacing and not (self._swap.root / f"{TOPIC}.md").exists():
            # A real mirror waits a second for a file that has vanished.
            self._between()
        return super().look(topics, known, most)


class Daemon:
    """Lives and dies until the others are done, then mirrors until there is nothing to do."""

    def __init__(self, world: World, chance: random.Random, baton: Baton) -> None:
        self._world, self._chance, self._baton = world, chance, baton
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mortal = True
        self.database: Database | None = None
        self.text = ""

    def work(self) -> None:
        asyncio.run(self._work())

    def call(self, work: Callable[[Transaction, Pipeline, Topics], Any]) -> Any:
        """A request of the API; None while nobody answers."""
        loop, database = self._loop, self.database
        if loop is None or database is None:
            return None
        writing = database.write(lambda tx: work(tx, self._pipeline, self._topics))
        return asyncio.run_coroutine_threadsafe(writing, loop).result()

    def knows(self, token: str) -> bool:
        found = self.call(lambda tx, *_: topic_files.living_with(tx.connection, token))
        return bool(found)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._baton.over:
            await self._live(self._chance.choice([3, 10, 40]))
        self._mortal = False
        await self._live(None)

    async def _live(self, rounds: int | None) -> None:
        chime, bell = Chime(), Bell()
        chime.add(bell)
        async with Database(self._world.data / "hivemind.db", chime.ring) as database:
            index = await database.read(Index.load)
            tails, self._topics = Tails(), Topics(await database.read(topic_files.living_topics))
            clock = Clock(await database.read(changes.last_hlc))
            self._pipeline = Pipeline(NodeId("node"), clock, Commits(IndexInUse(index, ""), tails))
            vault = Vault(self._world.vault)
            vault.scan([])
            mirror = Mirror(database, Settler(self._pipeline, self._topics, tails), tails, vault, bell)
            mirror._hands = Hands(vault.swap, self._world.turns[TOPIC], self._between)
            self.database = database
            try:
                if rounds is None:
                    await self._rest(mirror, vault)
                else:
                    for _ in range(rounds):
                        await self._round(mirror, vault)
                        await self._free(self._between)
            except Killed:
                self._world.ledger.did("daemon killed")
            finally:
                self.database = None
                mirror._io.shutdown()
        await self._free(lambda: self._baton.step("daemon"))

    async def _round(self, mirror: Mirror, vault: Vault) -> None:
        await mirror._take_late()
        await mirror._settle([TOPIC])

    async def _rest(self, mirror: Mirror, vault: Vault) -> None:
        while not self._baton.alone:
            await self._round(mirror, vault)
            await self._free(self._between)
        rounds = 0
        # A file that has vanished is given a moment to come back.
        while rounds < ROUNDS_TO_REST or mirror._renaming.waiting:
            await self._round(mirror, vault)
            rounds += 1
        async with Database(self._world.data / "hivemind.db") as database:
            self.text = file_text(await database.read(lambda db: memories.entries_of(db, TOPIC)))

    async def _free(self, work: Callable[[], None]) -> None:
        """Off the loop, so that the API is answered meanwhile."""
        await asyncio.get_running_loop().run_in_executor(None, work)

    def _between(self) -> None:
        if self._baton.alone:
            return
        self._baton.step("daemon")
        if self._mortal and self._chance.random() < 0.03:
            raise Killed


class Editor(Person):
    """A person whose pauses are others' turns."""

    def __init__(self, world: World, chance: random.Random, baton: Baton, name: str, daemon: Daemon) -> None:
        super().__init__(world, chance, [TOPIC])
        self._baton, self._name, self._daemon = baton, name, daemon

    def pause(self) -> None:
        if self.chance.random() < 0.7:
            self._baton.step(self._name)

    def work(self) -> None:
        while not self._baton.over:
            self._sit()
            self._baton.step(self._name)

    def _sit(self) -> None:
        path, turns = self.world.vault / f"{TOPIC}.md", self.world.turns[TOPIC]
        with Taken(turns, self._wait, alone=True):
            buffer, saves, appended = read(path), turns.saves, len(turns.appended)
        for _ in range(self.chance.randint(1, 3)):
            for _ in range(self.chance.choice([0, 1, 10, 60])):
                self._wait()
            with Taken(turns, self._wait, alone=True):
                known = all(self._daemon.knows(token) for token in turns.appended[appended:])
                if turns.saves != saves or not known:
                    buffer = read(path)
                if buffer is None:
                    return
                buffer = self._saved(path, buffer, TOPIC)
                turns.saves += 1
                saves, appended = turns.saves, len(turns.appended)

    def _wait(self) -> None:
        self._baton.step(self._name)


class Program(Editor):
    """An agent-memory server; now and then one that is slow to write what it appends."""

    def work(self) -> None:
        server, turns = AgentMemory(self.world.vault, self._now), self.world.turns[TOPIC]
        while not self._baton.over:
            text = self.text()
            with Taken(turns, self._wait, alone=False):
                server.remember(TOPIC, text, self._slowly if self.chance.random() < 0.4 else lambda: None)
                self.world.ledger.wrote(tokens_in(text), TOPIC)
                turns.appended += tokens_in(text)
            self.world.ledger.did("append", TOPIC, tokens_in(text))
            if self.chance.random() < 0.3:
                self._note(turns)
            if self.chance.random() < 0.05:
                self._forget(turns)
            for _ in range(self.chance.choice([1, 10, 60])):
                self._wait()

    def _now(self) -> datetime:
        """Some second of today: a whole life takes but one or two."""
        return datetime.now(UTC) - timedelta(seconds=self.chance.randrange(80_000))

    def _note(self, turns: Turns) -> None:
        """`echo … >> file`."""
        line, token = self.line()
        with Taken(turns, self._wait, alone=False), (self.world.vault / f"{TOPIC}.md").open("a") as file:
            self._wait()
            file.write(f"{line}\n")
            self.world.ledger.wrote([token], TOPIC)
            turns.saves += 1
        self.world.ledger.did("note", TOPIC, [token])

    def _forget(self, turns: Turns) -> None:
        path = self.world.vault / f"{TOPIC}.md"
        with Taken(turns, self._wait, alone=True):
            gone = tokens_in(read(path) or "")
            path.unlink(missing_ok=True)
            self.world.ledger.remove_from_file(gone)
            # What a stale save had just taken out of the file went with it, for whoever saw only the removal.
            self.world.ledger.unsure(self.world.ledger.expected())
            turns.saves += 1
        self.world.ledger.did("file removed", TOPIC, went=gone)

    def _slowly(self) -> None:
        for _ in range(self.chance.choice([1, 5, 20])):
            self._wait()


class Taken:
    """A turn at the file, waited for step by step."""

    def __init__(self, turns: Turns, wait: Callable[[], None], alone: bool) -> None:
        self._turns, self._wait, self._alone = turns, wait, alone

    def __enter__(self) -> None:
        while not self._turns.take(self._alone):
            self._wait()

    def __exit__(self, *_: object) -> None:
        self._turns.give_back(self._alone)


class Agent(Editor):
    """Uses the API."""

    def work(self) -> None:
        self._own: list[str] = []
        self._gone: list[str] = []
        while not self._baton.over:
            self.chance.choice([self._add, self._add, self._change, self._forget, self._restore])()
            for _ in range(self.chance.choice([0, 3, 20])):
                self._wait()

    def _add(self) -> None:
        contents = [self.text() for _ in range(self.chance.choice([1, 1, 4]))]
        drafts = [Draft(content, topic=TOPIC) for content in contents]
        rows = self._daemon.call(lambda tx, pipeline, topics: add_drafts(tx, pipeline, topics, drafts))
        for row in rows or ():
            self._own.append(row.id)
            self.world.ledger.acknowledged(row.id, TOPIC, row.content)
            self.world.ledger.did("api add", TOPIC, tokens_in(row.content))

    def _change(self) -> None:
        if not self._own:
            return
        id, (line, token) = self.chance.choice(self._own), self.line()
        place = self.chance.random()

        def change(tx: Transaction, pipeline: Pipeline, _: Topics) -> bool:
            row = tx.memory(id)
            assert row
            if not row.alive:
                return False
            content = row.content + "\n\n" + line if place < 0.5 else line + "\n\n" + row.content
            text = markdown.with_body(row.text, row.role == HEAD, content)
            pipeline.edit(tx, row, "update", Author("api"), text=text)
            return True

        if self._daemon.call(change):
            self.world.ledger.wrote([token], TOPIC)
            self.world.ledger.did("api update", TOPIC, [token])

    def _forget(self) -> None:
        if not self._own or self.chance.random() < 0.5:
            return
        id = self._own.pop(self.chance.randrange(len(self._own)))

        def forget(tx: Transaction, pipeline: Pipeline, _: Topics) -> str:
            row = tx.memory(id)
            assert row
            if row.alive:
                retire(tx, pipeline, row, Author("api"))
                return row.text
            return ""

        if gone := self._daemon.call(forget):
            self.world.ledger.remove(tokens_in(gone))
            self._gone.append(id)
            self.world.ledger.did("api forget", TOPIC, went=tokens_in(gone))

    def _restore(self) -> None:
        if not self._gone:
            return
        id = self._gone.pop(self.chance.randrange(len(self._gone)))

        def restore(tx: Transaction, pipeline: Pipeline, _: Topics) -> str:
            row = tx.memory(id)
            assert row
            return "" if row.alive else revive(tx, pipeline, row, Author("api")).text

        if back := self._daemon.call(restore):
            self._own.append(id)
            self.world.ledger.restored(tokens_in(back), TOPIC)
            self.world.ledger.did("api restore", TOPIC, tokens_in(back))


def life(folder: Path, seed: int, steps: int = 1500) -> tuple[list[str], Ledger]:
    """What is wrong at the end of a life of one topic."""
    chance = random.Random(seed)
    for name in ("vault", "data", "outside"):
        (folder / name).mkdir()
    world = World(folder / "vault", folder / "data", folder / "outside", Ledger(), threading.Event(), {TOPIC: Turns()})
    path = world.vault / f"{TOPIC}.md"
    path.write_text(f"# {TOPIC}\n\n## 2026-01-01 10:00\n\nthe first\n\n")
    baton = Baton(chance)

    def own() -> random.Random:
        return random.Random(chance.random())

    daemon = Daemon(world, own(), baton)
    hands = {name: kind(world, own(), baton, name, daemon) for name, kind in _CAST.items()}
    works: dict[str, Callable[[], None]] = {name: hand.work for name, hand in hands.items()}
    baton.run({**works, "daemon": daemon.work}, steps, last="daemon")
    for failure in baton.failures:
        raise failure
    text = read(path) or ""
    found = [] if text == daemon.text else [f"file and documents differ: {text!r} {daemon.text!r}"]
    counts = tokens_in(text)
    found += [f"lost: {token}" for token in world.ledger.expected() if token not in counts]
    found += [f"doubled: {token}" for token in set(counts) if counts.count(token) > 1]
    return found, world.ledger


_CAST: dict[str, type[Editor]] = {
    "ann": Editor,
    "bob": Editor,
    "program": Program,
    "other program": Program,
    "agent": Agent,
    "other agent": Agent,
}

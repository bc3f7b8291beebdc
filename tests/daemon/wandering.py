"""Nodes with a folder of files each, and people who rename, move, remove and edit whatever is there, in turns that a
seed chooses: the mirrors look at any part of what has happened, and hear of each other at any moment.

Disk, database, documents and decisions are real. Only time is not: whoever pauses lets others go on, and nobody waits.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.hands.hand import read
from bench.hands.ledger import Ledger, tokens_in
from bench.hands.roamer import ROOM, Roamer
from bench.hands.world import World
from hiveminddb.daemon.commits import Bell, Commits
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.mirror.filework import FileWork, Looks, Outcome, same
from hiveminddb.daemon.mirror.mirror import Mirror
from hiveminddb.daemon.mirror.renaming import Renaming
from hiveminddb.daemon.mirror.settling import Settler, Todo
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.tails import Addition, Tails
from hiveminddb.model import NodeId
from hiveminddb.store import changes, outbox, schema, topic_files, vault_state
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.index import Index
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.sync.clock import Clock
from hiveminddb.vault import files
from hiveminddb.vault.held import Written
from hiveminddb.vault.swap import Swap
from hiveminddb.vault.topics import Topics, path_of, topic_of
from hiveminddb.vault.vault import Vault
from tests.daemon.interleaved import Baton, Killed

ROUNDS_TO_REST = 200
ALL = 1 << 40


class Hands(FileWork):
    """The mirror's hands; others come in before and after each thing they do."""

    def __init__(self, swap: Swap, between: Callable[[], None]) -> None:
        super().__init__(swap)
        self._between = between

    def look(self, topics: Sequence[str], known: Mapping[str, VaultFile], most: int = ALL) -> Looks:
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


class Daemon:
    """Mirrors some of what there is to mirror, hears of others, and dies, until the people are done."""

    def __init__(self, world: World, chance: random.Random, baton: Baton, name: str) -> None:
        self.world, self.name = world, name
        self._chance, self._baton = chance, baton
        self.others: list[Daemon] = []
        self.person = Walker(world, chance, baton, f"person {name}")

    @property
    def path(self) -> Path:
        return self.world.data / "hivemind.db"

    def work(self) -> None:
        asyncio.run(self._work())

    def rest(self) -> bool:
        """Everything that is to be done here and now; whether that was anything."""
        return asyncio.run(self._rest())

    async def _work(self) -> None:
        while not self._baton.over:
            await self._live(self._chance.choice([3, 10, 40]))

    async def _live(self, rounds: int) -> None:
        async with Database(self.path) as self._database:
            mirror = await self._mirror()
            mirror._hands = Hands(self._vault.swap, self._between)
            try:
                await self._round(mirror, 1.0)
                for _ in range(rounds):
                    if self._baton.over:
                        break
                    await self._free(lambda: self._baton.step(self.name))
                    await self._act(mirror)
            except Killed:
                self.world.ledger.did("killed")
            finally:
                mirror._io.shutdown()

    async def _act(self, mirror: Mirror) -> None:
        if self._chance.random() < 0.3:
            other = self._chance.choice(self.others)
            await self._hear(other, self._chance.choice([ALL, 3000]))
        else:
            await self._round(mirror, self._chance.choice([0.3, 0.7, 1.0]))

    async def _mirror(self) -> Mirror:
        tails = Tails()
        index = await self._database.read(Index.load)
        topics = Topics(await self._database.read(topic_files.living_topics))
        clock = Clock(await self._database.read(changes.last_hlc))
        pipeline = Pipeline(NodeId(self.name), clock, Commits(IndexInUse(index, ""), tails))
        self._intake = Intake(pipeline, topics)
        self._vault = Vault(self.world.vault)
        self._vault.scan([])
        return Mirror(self._database, Settler(pipeline, topics, tails), tails, self._vault, Bell())

    async def _round(self, mirror: Mirror, part: float) -> None:
        """Look at a part of what there is to look at; who has been looked at in vain is gone."""
        renaming = mirror._renaming
        due = await self._due(renaming)
        # A real mirror waits a second for a file that an editor takes away for a moment.
        if part == 1.0 and not self.person.is_saving:
            for topic in renaming._since:
                renaming._since[topic] = float("-inf")
        some = sorted(topic for topic in due if self._chance.random() < part)
        self._chance.shuffle(some)
        await mirror._take_late()
        self.world.ledger.did(f"looks at {len(some)} of {len(due)}", ", ".join(some))
        if some:
            await mirror._settle(mirror._hands.vanished_first(some))

    async def _due(self, renaming: Renaming) -> list[str]:
        def due(connection: Connection) -> list[str]:
            known = {file.topic: file for file in vault_state.vault_files(connection)}
            there = {topic_of(str(it.relative_to(self.world.vault))) for it in (self.world.vault / ROOM).rglob("*.md")}
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
            while await self._due(mirror._renaming):
                await self._round(mirror, 1.0)
                rounds += 1
                assert rounds < ROUNDS_TO_REST, f"no rest: {await self._due(mirror._renaming)}"
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


def life(folder: Path, seed: int, nodes: int = 2, steps: int = 1500) -> tuple[list[str], Ledger]:
    """What is wrong at the end of a life of so many folders."""
    chance, baton, ledger = random.Random(seed), Baton(random.Random(seed + 1)), Ledger()

    def own() -> random.Random:
        return random.Random(chance.random())

    daemons, works = list[Daemon](), dict[str, Callable[[], None]]()
    for name in "abcde"[:nodes]:
        for part in (f"vault/{ROOM}", "data", "outside"):
            (folder / name / part).mkdir(parents=True)
        home = folder / name
        world = World(home / "vault", home / "data", home / "outside", ledger, threading.Event(), {})
        daemons.append(Daemon(world, own(), baton, name))
        works[name] = daemons[-1].work
        # Two people here would overwrite each other's words before any mirror could have seen them.
        works[f"person {name}"] = daemons[-1].person.work
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
            if own.get(name) != texts[0].get(name):
                found.append(f"{name} differs: a {texts[0].get(name)!r} {daemon.name} {own.get(name)!r}")
    there = set(tokens_in("".join(texts[0].values())))
    found += [f"lost: {token} written to {where}" for token, where in ledger.expected().items() if token not in there]
    for name, text in texts[0].items():
        tokens = tokens_in(text)
        found += [f"doubled in {name}: {token}" for token in set(tokens) if tokens.count(token) > 1]
    return found


def _texts(vault: Path) -> dict[str, str]:
    return {str(path.relative_to(vault)): read(path) or "" for path in (vault / ROOM).rglob("*.md")}

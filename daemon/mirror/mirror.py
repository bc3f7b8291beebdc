"""Keeps the vault's files and the documents in agreement: watches, takes in, writes. One task, one I/O thread."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.intents import VaultChoice
from hiveminddb.daemon.mirror.agenda import Agenda
from hiveminddb.daemon.mirror.bases import NO_TEXT
from hiveminddb.daemon.mirror.filework import ROUND_BYTES, FileWork, Looks, Outcome, is_numbered, same
from hiveminddb.daemon.mirror.renaming import Renaming
from hiveminddb.daemon.mirror.settling import Look, Settler, Todo
from hiveminddb.daemon.supervision import supervised, unforeseen
from hiveminddb.daemon.tails import Addition, Tails
from hiveminddb.store import outbox, vault_state
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.outbox import Mark
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.vault.files import Stat
from hiveminddb.vault.held import Late
from hiveminddb.vault.vault import Vault

T = TypeVar("T")

log = logging.getLogger(__name__)

# Under which name the database keeps the id of the vault it mirrors.
VAULT_ID = "vault.id"

# Files settled in one round: a few transactions serve them all, and the writer is held for a fifth of a second at most.
ROUND = 512

# From this many files on, those that are new are taken in together.
MANY = 4

# Of a round so many files are written before the next are taken in: the longer it takes from the one to the other, the
# more of them have been saved or renamed meanwhile, and are not written.
WRITTEN_SOON = 32

# Events can be missed (a full queue, a network drive): every file is compared with what is known this often.
RESCAN_SECONDS = 60.0

# Nobody is at work in a vault in which nothing has happened for so long: no folder goes from under a program's hands.
QUIET_SECONDS = 60.0

# Replaced files are looked at for late writes this often.
LATE_SECONDS = 0.5

# All else rings, or is on the agenda.
IDLE_SECONDS = 5.0

# Under steady writing a round is followed by a rest as long as itself, at most this: more is then done by the next one.
BREATH_SECONDS = 0.04

# A file that somebody is writing to is looked at again after this; one that could not be read or written, after that.
BUSY_SECONDS = 0.01
FAILED_SECONDS = 2.0
# Whoever waits until a file was looked at waits no longer than this.
LOOKED_SECONDS = 3.0
# A round that broke off: what broke it must not hold up the other files for ever.
BROKEN_SECONDS = 10.0


class Mirror:
    """Runs inside `async with`; settles every topic that a file event or a commit touched."""

    def __init__(self, database: Database, settler: Settler, tails: Tails, vault: Vault, bell: Bell) -> None:
        self._database, self._settler, self._vault, self._bell = database, settler, vault, bell
        self._tails = tails
        self._io = ThreadPoolExecutor(1, thread_name_prefix="vault")
        self._hands = FileWork(vault.swap)
        self._renaming = Renaming(settler)
        self._agenda = Agenda()
        self._rescan_at = 0.0
        self._stirred_at = time.monotonic()
        self._round_over = asyncio.Condition()
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.tasks = [
            asyncio.create_task(supervised("watcher", self._watch)),
            asyncio.create_task(supervised("mirror", self._run)),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self._io.shutdown()

    @property
    def stopped(self) -> str:
        """Why nothing is mirrored until somebody answers; empty where all is well."""
        return self._vault.stopped

    @property
    def refused(self) -> dict[str, str]:
        """Files that are left alone, and why."""
        return {**self._vault.refused, **self._hands.refused}

    async def resolve(self, choice: VaultChoice) -> None:
        """Go on after a stop, as the owner chose."""
        known = [file.topic for file in await self._database.read(vault_state.vault_files)]
        if choice != "accept_deletions":
            await self._database.write(lambda tx: self._settler.forget_files(tx, known))
        await self._on_thread(partial(self._vault.resolve, choice))
        log.info("vault resolved choice=%s", choice)
        self._rescan_at = 0.0
        self._bell.ring()

    async def looked(self, topic: str) -> None:
        """Once what people did to a topic's file until now has been taken in: a removal waits for a new name first."""
        self._agenda.add([topic])
        self._bell.ring()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKED_SECONDS), self._round_over:
                await self._round_over.wait_for(lambda: bool(self.stopped) or not self._is_open(topic))

    def _is_open(self, topic: str) -> bool:
        return topic in self._agenda or topic in self._renaming.waiting

    # -- the two tasks

    async def _watch(self) -> None:
        async for batch in self._vault.changes():
            self._stirred_at = time.monotonic()
            if batch.rescan:
                # It sees what came as well, and what went first: else a folder's new name looks like new files.
                self._rescan_at = 0.0
            else:
                self._renaming.stirred(batch.topics)
                self._agenda.add(await self._on_thread(partial(self._hands.vanished_first, batch.topics)))
            self._bell.ring()

    async def _run(self) -> None:
        while True:
            if not self.stopped and time.monotonic() >= self._rescan_at:
                await self._scan()
            if self.stopped:
                await self._bell.heard(FAILED_SECONDS)
                continue
            await self._take_late()
            await self._take_marks()
            started = time.monotonic()
            with self._agenda.taken(ROUND, BROKEN_SECONDS) as topics:
                if topics:
                    await self._settle(topics)
            async with self._round_over:
                self._round_over.notify_all()
            if topics:
                await asyncio.sleep(min(time.monotonic() - started, BREATH_SECONDS))
            else:
                await self._bell.heard(self._agenda.wait(IDLE_SECONDS if self._vault.swap.is_at_rest else LATE_SECONDS))

    async def _scan(self) -> None:
        known = {file.topic: file for file in await self._database.read(vault_state.vault_files)}
        # Files that this mirror was about to remove when it was killed are missed by nobody.
        going = await self._database.read(partial(vault_state.removals, digest=NO_TEXT))
        made = await self._database.read(partial(vault_state.makings, digest=NO_TEXT))
        found = await self._on_thread(partial(self._vault.scan, list(known), going))
        self._rescan_at = time.monotonic() + RESCAN_SECONDS
        if self.stopped:
            log.warning("vault stopped reason=%s", self.stopped)
            return
        if time.monotonic() - self._stirred_at >= QUIET_SECONDS:
            await self._on_thread(partial(self._vault.swap.drop_empty_folders, QUIET_SECONDS))
        await self._database.write(lambda tx: tx.set_meta(VAULT_ID, self._vault.identity))
        # Before the new files, of which any may be one of these.
        self._agenda.add(topic for topic in (*known, *made) if topic not in found)
        self._agenda.add(topic for topic, stat in found.items() if not same(known.get(topic), stat))
        # What stood in a refused file's place may be gone, and with it the only thing there was to see.
        self._agenda.add(list(self._hands.refused))

    async def _take_marks(self) -> None:
        """What commits asked for, but for files that are being looked at already or left alone."""
        waiting = self._hands.refused.keys() | self._renaming.waiting
        after: Mark | None = None
        while marks := await self._database.read(partial(_marked, after)):
            fresh = [mark.key for mark in marks if mark.key not in self._agenda and mark.key not in waiting]
            self._agenda.add(fresh)
            if fresh or len(marks) < ROUND:
                return
            after = marks[-1]

    # -- one round

    async def _settle(self, topics: Sequence[str]) -> None:
        elsewhere = await self._elsewhere(topics)
        looks, known = await self._look([*topics, *elsewhere.difference(topics)])
        # What somebody left in a replaced file came before what the same hand left in its place.
        await self._take_late()
        self._agenda.add(looks.busy, BUSY_SECONDS)
        self._renaming.there(looks.busy)
        self._agenda.add(looks.failed, FAILED_SECONDS)
        whole = await self._append([look for look in looks.ready if look.unchanged], known)
        whole += [look for look in looks.ready if not look.unchanged]
        if not whole:
            return
        more = len(topics) == ROUND or any(topic not in known or topic in elsewhere for topic in looks.busy)
        moved = await self._rename(whole)
        ready, later = await self._database.write(partial(self._renaming.sort_out, whole, moved=moved, more=more))
        self._agenda.add(later, self._renaming.patience)
        if len(ready) >= MANY:
            settled = await self._database.write(lambda tx: self._settler.settle_new(tx, ready))
            ready = [look for look in ready if look.topic not in settled]
        for first in range(0, len(ready), WRITTEN_SOON):
            if writing := await self._todos(ready[first : first + WRITTEN_SOON]):
                await _to_the_end(self._write(writing))

    async def _look(self, topics: Sequence[str]) -> tuple[Looks, dict[str, VaultFile]]:
        """Each topic's file, and whatever has the names now under which these files were last known."""
        looks, known, seen = Looks(), dict[str, VaultFile](), set[str]()
        wanted, most = list(topics), ROUND_BYTES
        while wanted:
            known |= await self._database.read(partial(_known, wanted))
            found = await self._on_thread(partial(self._hands.look, wanted, known, most))
            looks.join(found)
            seen.update(wanted)
            wanted, most = [], sys.maxsize
            if born := found.from_elsewhere(known):
                former = await self._database.read(partial(vault_state.files_of, inodes=born))
                numbered = {it.topic for it in former if is_numbered(it, it.inode, born[it.inode])}
                wanted = sorted((numbered | self._renaming.displaced) - seen)
        if twice := looks.take_back(known):
            looks.join(await self._on_thread(partial(self._hands.look, twice, known, sys.maxsize)))
        looks.wait_together(known)
        return looks, known

    async def _elsewhere(self, topics: Sequence[str]) -> set[str]:
        """Where the files are that vanished a while ago: on a busy machine nobody may have told yet."""
        overdue = self._renaming.overdue(topics)
        if not overdue:
            return set()
        known = await self._database.read(partial(_known, overdue))
        return set(await self._on_thread(partial(self._vault.named, {file.inode for file in known.values()})))

    async def _rename(self, looks: Sequence[Look]) -> set[str]:
        """Files keep their memories under their new names; the old ones."""
        moved = set[str]()
        for renames in await self._database.write(partial(self._renaming.renames, looks)):
            moved |= await self._database.write(partial(self._renaming.carry_out, renames))
        return moved

    async def _todos(self, looks: Sequence[Look]) -> list[Todo]:
        """What is to be written; a file that cannot be taken in holds up no other."""
        settling = (self._database.write(partial(self._settler.settle, look=look)) for look in looks)
        found: list[Todo] = []
        for look, todo in zip(looks, await asyncio.gather(*settling, return_exceptions=True), strict=True):
            if not isinstance(todo, BaseException):
                found += [todo] if todo else []
                continue
            log.error("file not taken in topic=%r reason=%s", look.topic, todo, exc_info=unforeseen(todo))
            self._hands.refused[look.topic] = f"cannot be taken in: {todo}"
            self._agenda.add([look.topic], FAILED_SECONDS)
        return found

    async def _write(self, todos: Sequence[Todo]) -> None:
        outcomes, failed = await self._on_thread(partial(self._hands.write, todos))
        await self._take_late()
        await self._database.write(partial(self._record, outcomes, failed))
        await self._forget([outcome.displaced for outcome in outcomes if outcome.displaced is not None])
        self._agenda.add((todo.topic for todo in failed), FAILED_SECONDS)

    async def _append(self, looks: Sequence[Look], known: Mapping[str, VaultFile]) -> list[Look]:
        """Add to files as known what they lack at their end; the looks of those that need more than that."""
        found = {look.topic: self._tails.lacking(known[look.topic]) for look in looks if look.topic in known}
        additions = [(addition, known[topic]) for topic, addition in found.items() if addition is not None]
        if additions:
            await self._database.write(lambda tx: self._settler.appending(tx, [it for it, _ in additions]))
            written = await self._on_thread(partial(self._hands.append, additions))
            outcomes = [(addition, it) for (addition, _), it in zip(additions, written, strict=True)]
            done = [(addition, it.stat) for addition, it in outcomes if it is not None and not it.disturbed]
            await self._database.write(
                partial(self._appended, done, [addition for addition, it in outcomes if it is None])
            )
            failed = {addition.topic for addition, _ in outcomes} - {addition.topic for addition, _ in done}
            for topic in failed:
                self._tails.drop(topic)
            self._agenda.add(failed, BUSY_SECONDS)
        return [look for look in looks if found.get(look.topic) is None]

    def _appended(self, done: Sequence[tuple[Addition, Stat]], failed: Sequence[Addition], tx: Transaction) -> None:
        self._settler.appended(tx, done)
        self._settler.unwritten(tx, failed)

    def _record(self, outcomes: Sequence[Outcome], failed: Sequence[Todo], tx: Transaction) -> None:
        self._settler.unwritten(tx, failed)
        for outcome in outcomes:
            if outcome.displaced is not None:
                self._settler.late(tx, outcome.displaced)
            if outcome.disturbed:
                self._agenda.add([outcome.todo.topic])
            elif outcome.stat is not None:
                self._settler.written(tx, outcome.todo, outcome.stat)
            else:
                self._settler.removed(tx, outcome.todo)

    async def _take_late(self) -> None:
        late = await self._on_thread(self._vault.swap.late)
        taking = (self._database.write(partial(self._settler.late, late=item)) for item in late)
        for item, failure in zip(late, await asyncio.gather(*taking, return_exceptions=True), strict=True):
            if failure is None:
                log.info("late write taken in path=%r", item.path)
                await self._forget([item])
            else:
                kept = "late write kept aside path=%r file=%s reason=%s"
                log.error(kept, item.path, item.token, failure, exc_info=unforeseen(failure))

    async def _forget(self, late: Sequence[Late]) -> None:
        """What is in the documents now need not be kept aside any more."""
        for item in late:
            await self._on_thread(partial(self._vault.swap.settle, item))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._io, work)


async def _to_the_end(work: Coroutine[None, None, None]) -> None:
    """Does what must not be left half done, also where the caller is cancelled meanwhile: it is, after that."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _marked(after: Mark | None, connection: Connection) -> list[Mark]:
    return outbox.pending(connection, "mirror", ROUND, after)


def _known(topics: Sequence[str], connection: Connection) -> dict[str, VaultFile]:
    found = (vault_state.vault_file(connection, topic) for topic in topics)
    return {file.topic: file for file in found if file is not None}

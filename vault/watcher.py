"""Which topic files may have changed, told within tens of milliseconds of the save."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change, awatch

from hiveminddb.vault import topics

log = logging.getLogger(__name__)

# A save is a handful of events within a millisecond: so much silence ends it. Watchfiles wakes up as often, always.
STEP_MS = 20
DEBOUNCE_MS = 100
# How often a quiet watcher checks that it still watches the folder that has the name.
IDLE_MS = 2_000
# How often a folder that is not there is looked for.
GONE_SECONDS = 0.5
# Near the system's own limit events get lost without a word.
MAX_BATCH = 4096
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Topics whose files may have changed or gone; `rescan` if only a look at all files can tell what happened."""

    topics: frozenset[str] = frozenset()
    rescan: bool = False


class Watcher:
    """Watches one folder and everything below it, again and again when it vanishes and comes back."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[str] = set()
        self._listed_anew: set[str] = set()

    def knows_folders(self, folders: Iterable[str]) -> None:
        """The folders there are, as a scan found them: when one of them goes its files go with it."""
        self._folders = set(folders)

    async def batches(self) -> AsyncIterator[Batch]:
        """What changed, for as long as somebody listens; begins with a rescan once the watch stands."""
        while True:
            identity = _identity(self._root)
            if identity is None:
                await asyncio.sleep(GONE_SECONDS)
                continue
            try:
                async for batch in self._watched(identity):
                    yield batch
            except (OSError, RuntimeError) as error:
                log.warning("watch failed folder=%s reason=%s", self._root, error)
                await asyncio.sleep(RETRY_SECONDS)
            yield Batch(rescan=True)

    async def _watched(self, identity: tuple[int, int]) -> AsyncIterator[Batch]:
        """Batches until the folder is another one."""
        changes = awatch(
            self._root,
            watch_filter=self._matters,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=IDLE_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        log.info("watching folder=%s", self._root)
        stands = False
        async for found in changes:
            batch = await asyncio.to_thread(self._batch, found) if found or self._listed_anew else Batch()
            if not stands or batch.rescan:
                batch = Batch(batch.topics, rescan=True)
            stands = True
            if batch.topics or batch.rescan:
                yield batch
            if _identity(self._root) != identity:
                return

    def _matters(self, change: Change, path: str) -> bool:
        return self._relative(path) is not None

    def _batch(self, found: set[tuple[Change, str]]) -> Batch:
        if len(found) > MAX_BATCH:
            return Batch(rescan=True)
        paths = {path for path in (self._relative(where) for _, where in found) if path is not None}
        if "" in paths:
            return Batch(rescan=True)
        changed = {path.removesuffix(topics.SUFFIX) for path in paths if topics.refusal(path) is None}
        # Another folder may have the name already.
        left = {path for change, where in found if change is Change.deleted and (path := self._relative(where))}
        gone = any(path in self._folders and (path in left or not self._is_folder(path)) for path in paths)
        appeared = {path for path in paths if self._is_folder(path)}
        # What was put into a new folder before the watch on it stood made no event: it is listed, and once more later.
        for folder in appeared | self._listed_anew:
            changed |= self._topics_in(folder)
        self._listed_anew = appeared
        return Batch(frozenset(changed), gone)

    def _topics_in(self, folder: str) -> set[str]:
        found: set[str] = set()
        for where, folders, names in os.walk(self._root / folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = os.path.relpath(where, self._root)
            self._folders.add(inside)
            paths = (f"{inside}/{name}" for name in names)
            found |= {path.removesuffix(topics.SUFFIX) for path in paths if topics.refusal(path) is None}
        return found

    def _relative(self, path: str) -> str | None:
        """The path inside the vault; None for what is hidden or outside."""
        inside = os.path.relpath(path, self._root)
        if inside == ".":
            return ""
        return None if any(part.startswith(".") for part in inside.split("/")) else inside

    def _is_folder(self, path: str) -> bool:
        return (self._root / path).is_dir() and not (self._root / path).is_symlink()


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        found = root.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""The watched folder of topic files: what is in it, what changes in it, and when not to believe it."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from hiveminddb.errors import VaultError
from hiveminddb.vault import files, topics
from hiveminddb.vault.files import Stat
from hiveminddb.vault.guard import deleted_in_bulk, found_vault, marker_of
from hiveminddb.vault.swap import Swap
from hiveminddb.vault.watcher import Batch, Watcher

log = logging.getLogger(__name__)

Choice = Literal["accept_deletions", "restore_files", "recreate"]


class Vault:
    """One vault; use inside `async with`. Everything that is not `async` blocks and belongs on one thread.

    `identity` is the id this folder had before, if it is known: another vault in its place stops the mirror.
    """

    def __init__(self, root: Path, identity: str = "") -> None:
        self.root = root
        self.swap = Swap(root)
        self.stopped = ""
        self.refused: dict[str, str] = {}
        self.identity = identity
        self._watcher = Watcher(root)
        self._devices: dict[str, int] = {}
        self._believed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def changes(self) -> AsyncIterator[Batch]:
        """What may have changed, for as long as somebody listens."""
        return self._watcher.batches()

    def scan(self, known: Collection[str], going: Collection[str] = ()) -> dict[str, Stat]:
        """Every topic file there is; `known` are the topics that had one. Sets `stopped` when their lack is no wish.

        Those `going` were about to be removed by the mirror itself, and are not missed.
        """
        try:
            found = self._found(known, going)
        except OSError as error:
            self.stopped = f"the vault folder cannot be used: {self.root}: {error.strerror}"
            return {}
        return found.files if found else {}

    def named(self, inodes: Collection[int]) -> list[str]:
        """The topics whose files are these on the disk, whatever names they had before."""
        # A walk passes by what is moved meanwhile from where it is still to come to where it has been.
        return self._passed(inodes) or self._passed(inodes)

    def _passed(self, inodes: Collection[int]) -> list[str]:
        return [path.removesuffix(topics.SUFFIX) for inode, path in _numbers(self.root) if inode in inodes]

    def resolve(self, choice: Choice) -> None:
        """Go on after a stop: this folder, as it is, is the vault."""
        try:
            self.identity = found_vault(self.root)
        except OSError as error:
            reason = f"the vault folder cannot be used: {self.root}: {error.strerror}"
            raise VaultError(reason, "check its permissions and its disk") from error
        self.stopped = ""
        self._devices = {}
        self._believed = True
        log.info("vault accepted folder=%s choice=%s", self.root, choice)

    def _found(self, known: Collection[str], going: Collection[str]) -> _Scan | None:
        self.stopped = self._missing(known)
        if self.stopped:
            return None
        # Whose files nobody knows yet is taken for the vault, whatever it was before.
        self.identity = found_vault(self.root)
        found = _Scan(self.root)
        self.refused = found.refused
        self._watcher.knows_folders(found.devices)
        self.stopped = self._lost(known, going, found)
        if self.stopped:
            return None
        self._believed = True
        self._devices = found.devices
        return found

    def _missing(self, known: Collection[str]) -> str:
        """Why this folder is not the vault that held the known files."""
        if not self.root.is_dir():
            return f"the vault folder has vanished: {self.root}" if known else ""
        marker = marker_of(self.root)
        if known and not marker:
            return f"the vault folder has lost its marker, as an unmounted disk would: {self.root}"
        if known and self.identity and marker != self.identity:
            return f"another vault is in the folder: {self.root}"
        return ""

    def _lost(self, known: Collection[str], going: Collection[str], found: _Scan) -> str:
        """Why the files that are not there may be wanted."""
        if "." in found.refused:
            return f"the vault folder {found.refused['.']}: {self.root}"
        for folder, device in self._devices.items():
            if device != self._devices[""] and found.devices.get(folder) != device:
                return f"a disk inside the vault is not mounted any more: {folder}"
        had = set(known)
        gone, new = len(had.difference(found.files, going)), len(found.files.keys() - had)
        if not self._believed and deleted_in_bulk(len(had), gone, new):
            return f"{gone} of {len(had)} files were removed while no daemon was watching"
        return ""


class _Scan:
    """The topic files below a folder; links are not followed, folders that cannot be read are named."""

    def __init__(self, root: Path) -> None:
        self.files: dict[str, Stat] = {}
        self.refused: dict[str, str] = {}
        self.devices: dict[str, int] = {"": root.stat().st_dev}
        waiting = [""]
        while waiting:
            waiting += self._folder(root, waiting.pop())

    def _folder(self, root: Path, folder: str) -> Iterator[str]:
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        yield from self._entry(entry, f"{folder}/{entry.name}" if folder else entry.name)
        except OSError as error:
            self.refused[folder or "."] = f"cannot be read: {error.strerror}"

    def _entry(self, entry: os.DirEntry[str], path: str) -> Iterator[str]:
        named = path.endswith(topics.SUFFIX)
        if entry.is_symlink():
            if named or entry.is_dir():
                self._refuse(path, "a link; links are not followed")
        elif entry.is_dir(follow_symlinks=False):
            self.devices[path] = entry.stat(follow_symlinks=False).st_dev
            yield path
        elif named:
            self._file(entry, path)

    def _file(self, entry: os.DirEntry[str], path: str) -> None:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        reason = topics.refusal(path)
        if not stat.S_ISREG(found.st_mode):
            reason = "not a regular file"
        elif found.st_size > files.MAX_FILE_BYTES:
            reason = f"{found.st_size} bytes, the limit is {files.MAX_FILE_BYTES}"
        if reason:
            self._refuse(path, reason)
        else:
            self.files[path.removesuffix(topics.SUFFIX)] = files.stat_of(found)

    def _refuse(self, path: str, reason: str) -> None:
        # A name that is not UTF-8 must not travel any further as it is.
        self.refused[os.fsencode(path).decode(errors="backslashreplace")] = reason


def _numbers(root: Path) -> Iterator[tuple[int, str]]:
    """The inode of each topic file, as the folders themselves say: less work than looking at every file."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError), os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif path.endswith(topics.SUFFIX) and not topics.refusal(path):
                    yield entry.inode(), path

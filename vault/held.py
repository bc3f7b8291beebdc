"""Replaced topic files, kept until it is certain that they hold nothing new.

They lie in `.hivemind/swap/`. A `new-…` file is a text on its way in and was never visible. An `old-…` file changed
places with the topic file, or is about to; its name carries the path and the digests of what went in and of what was
expected to come out, so that after a crash its content alone decides: ours, known, or somebody's edit.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hiveminddb.errors import StorageError, TooLarge, Unavailable, VaultError
from hiveminddb.vault import files, staging, system
from hiveminddb.vault.files import Stat
from hiveminddb.vault.system import Unreadable, translated
from hiveminddb.vault.topics import RESERVED

log = logging.getLogger(__name__)

SWAP = "swap"
# Where a folder of the vault is on another file system, its replaced files stay there too.
SWAP_BESIDE = ".hivemind-swap"
NOTHING = "0" * 32

# A writer that opened the file before it was replaced may still be on its way in at the first look.
GRACE = 1.0
# Replaced files kept while somebody still has them open for writing; over it the oldest is taken as it stands.
MAX_HELD = 256
_MAX_NAME_BYTES = 250
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Late:
    """A text somebody wrote to a file that we replaced; `was` is the digest of what was known to be in it.

    It is kept on disk, over a crash too, until it is handed to `settle`.
    """

    path: str
    text: str
    was: str
    token: str


@dataclass(frozen=True, slots=True)
class Written:
    """How a file stands after we wrote it; `displaced` is an edit nobody knew of, found in what was replaced.

    `disturbed` says that somebody else wrote at the same moment: read the file again.
    """

    stat: Stat
    displaced: Late | None = None
    disturbed: bool = False


class Token(NamedTuple):
    """What a replaced file's name says of it."""

    new: str
    expected: str
    number: str
    path: str

    @classmethod
    def fresh(cls, path: str, new: str, expected: str) -> Token:
        return cls(new, expected, secrets.token_hex(4), path)


@dataclass(slots=True)
class _Kept:
    home: str
    path: str
    known: str
    since: float
    writing: bool = False
    reported: bool = False

    def is_due(self, now: float) -> bool:
        """Whether to look: at once when a writer finishes, else when nobody can be on the way in any more."""
        return not self.reported and (self.writing or now >= self.since + GRACE)


class Held:
    """The replaced files of one vault."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[str, _Kept] = {}
        self._recovered = False

    def home_for(self, folder: int, path: str) -> str:
        """The folder of the vault whose swap folder serves this file: "" for the vault's own."""
        with self.opened("") as swap:
            own = os.fstat(swap).st_dev
        return "" if os.fstat(folder).st_dev == own else path.rpartition("/")[0]

    @contextmanager
    def opened(self, home: str) -> Iterator[int]:
        """A swap folder as a descriptor."""
        where = self._root / home / SWAP_BESIDE if home else self._root / RESERVED / SWAP
        try:
            where.mkdir(0o700, exist_ok=True)
        except FileNotFoundError as error:
            raise VaultError(f"the vault has lost its folder {RESERVED}: {self._root}", "see `hmd doctor`") from error
        fd = os.open(where, _OPEN)
        try:
            yield fd
        finally:
            os.close(fd)

    def name(self, swap: int, token: Token) -> str:
        """The file name of a token; a path too long for it is written to a note beside."""
        head = f"old-{token.new}-{token.expected}-{token.number}-"
        quoted = token.path.replace("%", "%25").replace("/", "%2F")
        if len((head + quoted).encode()) <= _MAX_NAME_BYTES:
            return head + quoted
        mark = "%" + hashlib.sha256(token.path.encode()).hexdigest()[:32]
        staged = "new-" + secrets.token_hex(8)
        staging.written(swap, staged, token.path.encode())
        os.rename(staged, "path-" + mark, src_dir_fd=swap, dst_dir_fd=swap)
        return head + mark

    def stage(self, swap: int, token: Token, data: bytes, like: tuple[int, str]) -> str:
        """Write a text, whole and durable, under the name from which it changes places with the topic file."""
        staged, held = "new-" + secrets.token_hex(8), self.name(swap, token)
        staging.written(swap, staged, data, like)
        os.rename(staged, held, src_dir_fd=swap, dst_dir_fd=swap)
        return held

    def keep(self, swap: int, token: Token, folder: int, name: str) -> str:
        """Another name for the topic file in the swap folder, or a copy where the file system has no links."""
        kept = self.name(swap, token._replace(number=secrets.token_hex(4)))
        try:
            os.link(name, kept, src_dir_fd=folder, dst_dir_fd=swap, follow_symlinks=False)
        except PermissionError:
            staging.written(swap, kept, staging.content(folder, name, token.path))
        return kept

    def add(self, swap: int, home: str, held: str, token: Token) -> Late | None:
        """Take charge of a file that was just replaced, and say what nobody knew of in it."""
        self._kept[held] = _Kept(home, token.path, token.expected, time.monotonic())
        return self._look(swap, held)

    def forget(self, held: str) -> None:
        """Give up charge of a file that goes back to its place."""
        self._kept.pop(held, None)

    def late(self) -> list[Late]:
        """What came into replaced files since, or before a crash; those at rest that hold nothing new are dropped."""
        if not (self._root / RESERVED).is_dir():
            return []
        if not self._recovered:
            self._recover()
        now = time.monotonic()
        over = set(list(self._kept)[: max(0, len(self._kept) - MAX_HELD)])
        due = [held for held, kept in self._kept.items() if kept.is_due(now) or (held in over and not kept.reported)]
        found = (self._late(held, force=held in over) for held in due)
        return [late for late in found if late]

    @property
    def is_empty(self) -> bool:
        """Whether no replaced file is kept, as far as is known."""
        return self._recovered and not self._kept

    def settle(self, late: Late) -> None:
        """From now on a late text is what is known to be in its file; the file is dropped when it is at rest."""
        kept = self._kept.pop(late.token, None)
        if kept is None or not (self._root / RESERVED).is_dir():
            return
        token = Token.fresh(late.path, NOTHING, files.digest_of(late.text))
        with translated(late.path), self.opened(kept.home) as swap, suppress(FileNotFoundError):
            held = self.name(swap, token)
            os.rename(late.token, held, src_dir_fd=swap, dst_dir_fd=swap)
            os.fsync(swap)
            self._kept[held] = _Kept(kept.home, late.path, token.expected, time.monotonic())

    def reading_shows(self) -> bool:
        """Whether this file system lets us know that somebody read a file."""
        name = "new-" + secrets.token_hex(8)
        with translated(RESERVED), self.opened("") as swap:
            staging.written(swap, name, b"x")
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=swap)
            try:
                return system.reading_shows(fd)
            finally:
                os.close(fd)
                os.unlink(name, dir_fd=swap)

    def _recover(self) -> None:
        for home in ["", *self._homes_beside()]:
            with translated(home or RESERVED), self.opened(home) as swap:
                self._take_over(swap, home)
        self._recovered = True

    def _late(self, held: str, force: bool) -> Late | None:
        kept = self._kept[held]
        try:
            with translated(kept.path), self.opened(kept.home) as swap:
                return self._look(swap, held, force=force)
        except (Unreadable, TooLarge) as error:
            kept.reported = True
            log.error("edit kept aside path=%s file=%s reason=%s", kept.path, held, error.message)
        except (VaultError, Unavailable, StorageError) as error:
            log.debug("replaced file out of reach path=%s file=%s reason=%s", kept.path, held, error.message)
        return None

    def _look(self, swap: int, held: str, force: bool = False) -> Late | None:
        """An unknown text in a replaced file at rest; one that holds none is dropped when nobody can come any more."""
        kept = self._kept[held]
        try:
            fd = files.open_to_read(swap, held)
        except FileNotFoundError:
            del self._kept[held]
            return None
        try:
            kept.writing = bool(system.is_written_to(fd))
            if kept.writing and not force:
                return None
            data = files.read_all(fd, kept.path)
        finally:
            os.close(fd)
        if files.digest_of(data) != kept.known:
            late = Late(kept.path, files.decoded(data, kept.path), kept.known, held)
            kept.reported = True
            return late
        if force or time.monotonic() >= kept.since + GRACE:
            del self._kept[held]
            os.unlink(held, dir_fd=swap)
        return None

    def _take_over(self, swap: int, home: str) -> None:
        for held in sorted(
            os.listdir(swap), key=lambda name: os.stat(name, dir_fd=swap, follow_symlinks=False).st_mtime_ns
        ):
            if held.startswith("new-"):
                os.unlink(held, dir_fd=swap)
            elif held.startswith("old-") and held not in self._kept:
                try:
                    self._take_charge(swap, home, held)
                except (OSError, ValueError, VaultError, TooLarge) as error:
                    log.error("replaced file kept aside file=%s reason=%s", held, error)

    def _take_charge(self, swap: int, home: str, held: str) -> None:
        token = self._parsed(swap, held)
        if files.digest_of(staging.content(swap, held, token.path)) == token.new:
            os.unlink(held, dir_fd=swap)
        else:
            self._kept[held] = _Kept(home, token.path, token.expected, since=0.0)

    def _parsed(self, swap: int, held: str) -> Token:
        _, new, expected, number, path = held.split("-", 4)
        if len(path) == 33 and path[0] == "%":
            return Token(new, expected, number, staging.content(swap, "path-" + path, held).decode())
        return Token(new, expected, number, path.replace("%2F", "/").replace("%25", "%"))

    def _homes_beside(self) -> Iterator[str]:
        """Folders of the vault on other file systems that have a swap folder of their own."""
        for where, folders, _ in os.walk(self._root):
            if SWAP_BESIDE in folders:
                yield os.path.relpath(where, self._root)
            folders[:] = [name for name in folders if not name.startswith(".")]

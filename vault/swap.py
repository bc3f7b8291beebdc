"""Writing topic files so that no edit of a person is lost: what was replaced is kept and looked at afterwards."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hiveminddb.errors import DiskFull, InvalidInput, TooLarge, Unavailable
from hiveminddb.vault import files, system
from hiveminddb.vault.files import MAX_FILE_BYTES, Stat
from hiveminddb.vault.held import NOTHING, Held, Late, Token, Written
from hiveminddb.vault.system import Unreadable, Unsupported, translated

__all__ = ["Late", "Swap", "Written"]

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Swap:
    """Writes into one vault; not for several threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held = Held(root)
        self._reading_shows: bool | None = None
        # Folders out of which files were taken, and that may be empty now.
        self._left: set[str] = set()

    def write(self, path: str, text: str, expected: str | None, inode: int = 0) -> Written:
        """Put a text in place of the file with digest `expected`, keeping what was really there; None: a file is made.

        Raises Unavailable where a file was expected and none is there, none and one is, or not the one with that
        `inode` (0: any): somebody has just removed it, made it, or given it another name.
        """
        data = _encoded(path, text)
        try:
            with translated(path), self._folders(path, create=expected is None) as (swap, home, folder, name):
                _refuse_irregular(folder, name, path)
                token = Token.fresh(path, files.digest_of(data), expected or NOTHING)
                held = self._held.stage(swap, token, data, like=(folder, name))
                placed = files.stat_of(os.stat(held, dir_fd=swap, follow_symlinks=False))
                kept = self._placed(swap, held, token, folder, name, inode)
                os.fsync(folder)
                os.fsync(swap)
                placed = _as_it_stands(folder, name, placed)
                return Written(placed, self._looked_at(swap, home, kept, token, folder, name) if kept else None)
        except FileNotFoundError as error:
            raise Unavailable(f"vanished while it was to be written: {path!r}", "it is looked at again") from error
        except FileExistsError as error:
            raise Unavailable(f"came while it was to be made: {path!r}", "it is looked at again") from error

    def append(self, path: str, addition: str, expected: Stat) -> Written | None:
        """Add text to a file that is as expected; None if it is not.

        After a crash the file may end with a strict prefix of the addition, and with nothing else.
        """
        data = _encoded(path, addition)
        with translated(path):
            try:
                with files.folder_of(self.root, path) as (folder, name):
                    return _appended(folder, name, path, data, expected)
            except FileNotFoundError:
                return None

    def remove(self, path: str, expected: str, inode: int = 0) -> Late | None:
        """Take a file away; what it held is returned if that is not the expected text.

        Raises Unavailable where none is there or another: somebody has just removed it or given it another name.
        """
        try:
            with translated(path), self._folders(path) as (swap, home, folder, name):
                _refuse_irregular(folder, name, path)
                token = Token.fresh(path, NOTHING, expected)
                held = self._held.name(swap, token)
                _refuse_another(folder, name, path, inode)
                self._taken_away(swap, held, folder, name, path, inode)
                os.fsync(folder)
                os.fsync(swap)
                late = self._looked_at(swap, home, held, token, folder, name)
            self._left |= {path[:at] for at, sign in enumerate(path) if sign == "/"}
            return late
        except FileNotFoundError as error:
            raise Unavailable(f"vanished while it was to be removed: {path!r}", "it is looked at again") from error

    def drop_empty_folders(self, seconds: float) -> None:
        """Removes folders that are empty since files were taken away, and have been for so long: nobody is at them."""
        at_rest = time.time_ns() - int(seconds * 1e9)
        deepest_first = sorted(self._left, key=len, reverse=True)
        self._left -= {folder for folder in deepest_first if files.drop_empty(self.root, folder, at_rest)}

    def late(self) -> list[Late]:
        """What slow writers put into files we had replaced; call it every second or so.

        At the first call also what a crash left behind, except what is ours or was known.
        """
        return self._held.late()

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing can be late: no replaced file is kept."""
        return self._held.is_empty

    def settle(self, late: Late) -> None:
        """Let go of a late or displaced text: it is safe elsewhere now."""
        self._held.settle(late)

    def unread_since_write(self, path: str, written: Stat) -> bool:
        """True only if it is certain that nobody read the file since we wrote it, whatever was written to it since."""
        if self._reading_shows is None:
            try:
                self._reading_shows = self._held.reading_shows()
            except DiskFull:
                return False
        return self._reading_shows and files.unread_since_write(self.root, path, written)

    @contextmanager
    def _folders(self, path: str, create: bool = False) -> Iterator[tuple[int, str, int, str]]:
        with files.folder_of(self.root, path, create) as (folder, name):
            home = self._held.home_for(folder, path)
            with self._held.opened(home) as swap:
                yield swap, home, folder, name

    def _placed(self, swap: int, held: str, token: Token, folder: int, name: str, inode: int) -> str | None:
        """Bring the staged text in; the name under which what it replaced is kept, None if there was nothing."""
        ours = _inode(swap, held)
        try:
            if token.expected == NOTHING:
                system.rename_new(swap, held, folder, name)
                return None
            _refuse_another(folder, name, token.path, inode)
            kept = self._exchanged(swap, held, token, folder, name)
            if kept == held and inode and _inode(swap, held) != inode:
                # It came since that was looked at, and goes back; if a third was quicker, that is looked at as an edit.
                _put_back(swap, held, folder, name)
                if _inode(swap, held) in (ours, 0):
                    raise _another(token.path)
            return kept
        except (OSError, Unavailable):
            if _inode(swap, held) == ours:
                os.unlink(held, dir_fd=swap)
            raise

    def _taken_away(self, swap: int, held: str, folder: int, name: str, path: str, inode: int) -> None:
        system.rename_new(folder, name, swap, held)
        if inode and _inode(swap, held) != inode:
            with suppress(FileExistsError):
                system.rename_new(swap, held, folder, name)
                raise _another(path)

    def _exchanged(self, swap: int, held: str, token: Token, folder: int, name: str) -> str:
        try:
            system.exchange(swap, held, folder, name)
        except Unsupported:
            kept = self._held.keep(swap, token, folder, name)
            os.rename(held, name, src_dir_fd=swap, dst_dir_fd=folder)
            return kept
        return held

    def _looked_at(self, swap: int, home: str, held: str, token: Token, folder: int, name: str) -> Late | None:
        try:
            return self._held.add(swap, home, held, token)
        except (Unreadable, TooLarge):
            # What came in between cannot be merged: it goes back to where it was, and our text waits.
            self._held.forget(held)
            if token.new == NOTHING:
                system.rename_new(swap, held, folder, name)
            else:
                os.unlink(self._exchanged(swap, held, token, folder, name), dir_fd=swap)
            raise


def _encoded(path: str, text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"text for {path!r} is not Unicode: {error.reason}", "remove lone surrogates") from error
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"{path!r} would have {len(data)} bytes", f"the limit is {MAX_FILE_BYTES}; use another topic")
    return data


def _refuse_irregular(folder: int, name: str, path: str) -> None:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise Unreadable(f"not a regular file: {path!r}", "only plain files are written; move it away")


def _refuse_another(folder: int, name: str, path: str, inode: int) -> None:
    """What a file holds that was put here since is no edit of the one that was here: it may be another's, renamed."""
    if inode and os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino != inode:
        raise _another(path)


def _another(path: str) -> Unavailable:
    return Unavailable(f"another file has come in its place: {path!r}", "it is looked at again")


def _put_back(swap: int, held: str, folder: int, name: str) -> None:
    try:
        system.exchange(swap, held, folder, name)
    except FileNotFoundError:
        system.rename_new(swap, held, folder, name)


def _inode(folder: int, name: str) -> int:
    """0 where there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return 0


def _as_it_stands(folder: int, name: str, placed: Stat) -> Stat:
    """Changing places changes the file's ctime; if that was all, it stands as it came."""
    now = files.look_in(folder, name)
    return now if now and replace(now, ctime_ns=placed.ctime_ns) == placed else placed


def _appended(folder: int, name: str, path: str, data: bytes, expected: Stat) -> Written | None:
    fd = os.open(name, _APPEND, dir_fd=folder)
    try:
        if files.stat_of(os.fstat(fd)) != expected or expected.size + len(data) > MAX_FILE_BYTES:
            return None
        # Marked before the write: a read that comes between the two counts as a read.
        system.mark_unread(fd)
        count = os.write(fd, data)
        if count < len(data):
            _taken_back(fd, expected.size, count)
            raise DiskFull(f"no space left to write {path!r}", "free some space; the file is untouched")
        os.fsync(fd)
        after = os.fstat(fd)
        there = files.look_in(folder, name)
        whole = there is not None and there.inode == after.st_ino and after.st_size == expected.size + len(data)
        return Written(files.stat_of(after), disturbed=not whole)
    finally:
        os.close(fd)


def _taken_back(fd: int, size: int, count: int) -> None:
    if os.fstat(fd).st_size == size + count:
        os.ftruncate(fd, size)
        os.fsync(fd)

"""New files that are whole and durable before anybody sees them."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from hiveminddb.vault import files, system


def written(swap: int, name: str, data: bytes, like: tuple[int, str] | None = None) -> None:
    """A new file with this content, durable, and marked so that a first read of it shows; none where that fails."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=swap)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if like:
            _take_after(fd, *like)
        system.mark_unread(fd)
        os.fsync(fd)
    except OSError:
        os.unlink(name, dir_fd=swap)
        raise
    finally:
        os.close(fd)


def _take_after(fd: int, folder: int, name: str) -> None:
    """Give a new file the owner, permissions and attributes of the one it replaces, as far as that is allowed."""
    try:
        old = files.open_to_read(folder, name)
    except OSError:
        return
    try:
        found, ours = os.fstat(old), os.fstat(fd)
        if (found.st_uid, found.st_gid) != (ours.st_uid, ours.st_gid):
            with suppress(OSError):
                os.fchown(fd, found.st_uid, found.st_gid)
        os.fchmod(fd, stat.S_IMODE(found.st_mode))
        for key in os.listxattr(old) if hasattr(os, "listxattr") else ():
            os.setxattr(fd, key, os.getxattr(old, key))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(old)


def content(folder: int, name: str, path: str) -> bytes:
    """Every byte of a file in an open folder."""
    fd = files.open_to_read(folder, name)
    try:
        return files.read_all(fd, path)
    finally:
        os.close(fd)

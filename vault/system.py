"""What the operating system can tell about a file, and the two renames that lose nothing."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hiveminddb.errors import DiskFull, TooLarge, Unavailable, VaultError

LINUX = sys.platform == "linux"

_NOREPLACE, _EXCHANGE = 1, 2
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_SECOND = 1_000_000_000
# An access time with this fraction was set by us: reading the file replaces it by the time of reading.
_UNREAD_FRACTION = 424_242_424

# statx(2): of the file itself that is open, when it came to be.
_EMPTY_PATH, _BTIME, _STATX_BYTES = 0x1000, 0x800, 256

_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None
_renameat2 = getattr(_libc, "renameat2", None)
_statx = getattr(_libc, "statx", None)


class Unsupported(Exception):
    """The file system or the system cannot do this; the caller has another way."""


class Unreadable(VaultError):
    """A file that is left alone: not regular, a link, not UTF-8, or not allowed to be read."""

    code = "unreadable"


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn what the system says about a file into errors to act on; a missing file stays FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left to write {path!r}", "free some space; the file is untouched") from error
        if error.errno == errno.EAGAIN:
            raise Unavailable(f"in use: {path!r}", "try again when its user is done") from error
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
            raise Unreadable(
                f"not a regular file: {path!r}", "links are not followed; put the file itself there"
            ) from error
        if error.errno in (errno.EFBIG, errno.ENAMETOOLONG):
            raise TooLarge(f"too large or too long a name for this file system: {path!r}", "shorten it") from error
        raise VaultError(
            f"cannot use {path!r}: {error.strerror}", "check the folder's permissions and its disk"
        ) from error


def exchange(folder_a: int, a: str, folder_b: int, b: str) -> None:
    """Swap two names in one step; both must exist."""
    _rename(folder_a, a, folder_b, b, _EXCHANGE)


def rename_new(folder_a: int, a: str, folder_b: int, b: str) -> None:
    """Rename to a name that must be free."""
    try:
        _rename(folder_a, a, folder_b, b, _NOREPLACE)
    except Unsupported:
        _link_or_rename(folder_a, a, folder_b, b)


def _link_or_rename(folder_a: int, a: str, folder_b: int, b: str) -> None:
    try:
        os.link(a, b, src_dir_fd=folder_a, dst_dir_fd=folder_b, follow_symlinks=False)
    except PermissionError:
        # A file system without links: looking first is the best there is.
        if b in os.listdir(folder_b):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), b) from None
        os.rename(a, b, src_dir_fd=folder_a, dst_dir_fd=folder_b)
    else:
        os.unlink(a, dir_fd=folder_a)


def is_written_to(fd: int) -> bool | None:
    """Whether any process has this file, which we have open for reading, open for writing; None where nobody can say.

    A read lease is only granted on a file nobody writes to. It is given back at once: an opener waits microseconds.
    """
    if not LINUX:
        return None
    try:
        # Breaking a lease signals its holder; this signal is ignored unless somebody asks for it.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    return False


def born_ns(fd: int) -> int:
    """When an open file came to be, which no rename changes and nobody can set; 0 where the file system cannot say."""
    if _statx is None:
        return int(getattr(os.fstat(fd), "st_birthtime", 0) * _SECOND)
    found = ctypes.create_string_buffer(_STATX_BYTES)
    if _statx(fd, b"", _EMPTY_PATH, ctypes.c_uint(_BTIME), found) != 0:
        return 0
    (mask,) = struct.unpack_from("I", found, 0)
    seconds, nanoseconds = struct.unpack_from("qI", found, 80)
    return int(seconds * _SECOND + nanoseconds) if mask & _BTIME else 0


def mark_unread(fd: int) -> None:
    """Set the access time so that the next read of the file shows; only the file's owner may."""
    now = os.fstat(fd)
    with suppress(PermissionError):
        os.utime(fd, ns=((now.st_mtime_ns // _SECOND - 1) * _SECOND + _UNREAD_FRACTION, now.st_mtime_ns))


def is_marked_unread(stat: os.stat_result) -> bool:
    """True if nobody has read the file since it was marked, provided reading shows on this file system."""
    return stat.st_atime_ns % _SECOND == _UNREAD_FRACTION


def reading_shows(fd: int) -> bool:
    """Whether reading this file, just marked, replaces the mark."""
    if os.fstatvfs(fd).f_flag & getattr(os, "ST_NOATIME", 0):
        return False
    marked = is_marked_unread(os.fstat(fd))
    os.pread(fd, 1, 0)
    return marked and not is_marked_unread(os.fstat(fd))


def _rename(folder_a: int, a: str, folder_b: int, b: str, flags: int) -> None:
    if _renameat2 is None:
        raise Unsupported
    if _renameat2(folder_a, os.fsencode(a), folder_b, os.fsencode(b), ctypes.c_uint(flags)) == 0:
        return
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        raise Unsupported
    raise OSError(number, os.strerror(number), a, None, b)

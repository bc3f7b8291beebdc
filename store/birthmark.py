"""What tells a file from a copy of it: its number and the moment it was made, which no copying program can set."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_AT_FDCWD = -100
_INODE, _BIRTH = 0x100, 0x800
# struct statx of linux/stat.h: the mask first, the inode at 32, the time of birth at 80; 256 bytes in all.
_SIZE = 256

_statx = getattr(ctypes.CDLL(None), "statx", None)


def birthmark(path: Path) -> str:
    """The same for as long as this file lives, another for a copy of it; "" where the system does not say."""
    if _statx is None:
        return _of(os.stat(path))
    room = ctypes.create_string_buffer(_SIZE)
    if _statx(_AT_FDCWD, os.fsencode(path), 0, ctypes.c_uint(_INODE | _BIRTH), room):
        return ""
    (mask,), (inode,) = struct.unpack_from("=I", room), struct.unpack_from("=Q", room, 32)
    seconds, nanoseconds = struct.unpack_from("=qI", room, 80)
    return f"{inode}:{seconds}.{nanoseconds:09}" if mask & _BIRTH else ""


def _of(stat: os.stat_result) -> str:
    """Where there is no statx; macOS says when a file was made."""
    born = getattr(stat, "st_birthtime", None)
    return f"{stat.st_ino}:{born}" if born else ""

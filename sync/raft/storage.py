"""Files that are on disk when they are said to be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hiveminddb.errors import DiskFull, ReadOnly, StorageError


class Folder:
    """The files of one folder; one of them may be appended to. Every error is a StorageError: nothing is tried twice.

    After a failed sync the kernel may have dropped what it could not write, and a second sync would lie
    (https://www.usenix.org/conference/atc20/presentation/rebello).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[str, int] = {}
        with _told_apart(path):
            _make(path)

    def read(self, name: str) -> bytes | None:
        with _told_apart(self._path / name):
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def append(self, name: str, data: bytes) -> None:
        """Written, not synced."""
        with _told_apart(self._path / name):
            descriptor = self._descriptor(name)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]

    def sync(self, name: str) -> None:
        with _told_apart(self._path / name):
            os.fdatasync(self._descriptor(name))

    def truncate(self, name: str, size: int) -> None:
        """Synced on return."""
        with _told_apart(self._path / name):
            os.ftruncate(self._descriptor(name), size)
            os.fsync(self._descriptor(name))

    def replace(self, name: str, data: bytes) -> None:
        """The whole file at once, synced on return: after a power cut it is the old one or the new one."""
        with _told_apart(self._path / name):
            temporary = self._path / (name + ".new")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._forget(name)
            os.replace(temporary, self._path / name)
            sync_folder(self._path)

    def remove(self, name: str) -> None:
        """Synced on return; nothing where there is none."""
        with _told_apart(self._path / name):
            self._forget(name)
            (self._path / name).unlink(missing_ok=True)
            sync_folder(self._path)

    def close(self) -> None:
        for name in tuple(self._open):
            self._forget(name)

    def _descriptor(self, name: str) -> int:
        if name not in self._open:
            self._open[name] = os.open(self._path / name, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return self._open[name]

    def _forget(self, name: str) -> None:
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)


def _make(folder: Path) -> None:
    """The folder is there also after a power cut; one that is there already may be of a start that was cut off."""
    if not folder.parent.is_dir():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """What was put into the folder, or renamed in it, is there after a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told_apart(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = {errno.ENOSPC: DiskFull, errno.EDQUOT: DiskFull, errno.EROFS: ReadOnly}.get(
            error.errno or 0, StorageError
        )
        raise kind(
            f"{path} cannot be read or written: {error.strerror or error}", "the daemon stops; see to the disk"
        ) from error

"""One daemon for a data folder, and one for a vault."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from hiveminddb.errors import AlreadyRunning, StorageError

log = logging.getLogger(__name__)

DATA_LOCK = "lock"
VAULT_LOCK = Path(".hivemind", "lock")


@contextlib.contextmanager
def data_lock(data_dir: Path) -> Iterator[None]:
    """Makes the folder and holds it; AlreadyRunning with the holder's pid."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with _held(data_dir / DATA_LOCK, f"the data folder {data_dir}"):
        yield


@contextlib.contextmanager
def vault_lock(vault: Path) -> Iterator[None]:
    """Holds a vault that exists, against daemons with other data folders; AlreadyRunning with the holder's pid."""
    path = vault / VAULT_LOCK
    try:
        # Not with parents: a vanished vault is not made anew by locking it.
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _unusable(vault, error) from error
    with _held(path, f"the vault {vault}"):
        yield


@contextlib.contextmanager
def _held(path: Path, what: str) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _take(descriptor, path, what)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        # The file stays: removing it would let two daemons lock two files of the same name.
        os.close(descriptor)


def _take(descriptor: int, path: Path, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        hint = f"stop it with: hmd down, or, where that knows of none: kill {pid}"
        raise AlreadyRunning(f"another daemon (pid {pid}) uses {what}", hint) from error
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
            raise _unusable(path, error) from error
        log.warning("no locks on this file system path=%s", path)


def _unusable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot use {path}: {error.strerror}", "check that the folder exists and may be written")

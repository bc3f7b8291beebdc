"""Whether an open database still has its files: SQLite goes on writing to those that are no longer there."""

from __future__ import annotations

from pathlib import Path

from hiveminddb.errors import StorageError

_Identity = tuple[int, int] | None


class Standing:
    """The files of a database, as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self._opened = {file: _identity(file) for file in (path, path.with_name(path.name + "-wal"))}

    def check(self) -> None:
        """StorageError where one has been moved, removed or replaced since: what is written to it would be lost."""
        for file, opened in self._opened.items():
            if _identity(file) != opened:
                raise StorageError(
                    f"the database was moved, removed or replaced while in use: {file}",
                    "nothing more is written; put the file back or stop the daemon, then start it again",
                )


def _identity(file: Path) -> _Identity:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino

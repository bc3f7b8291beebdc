"""The ways in which programs save a file, step by step as they do it. `pause` is called between the steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

Pause = Callable[[], None]
Save = Callable[[Path, bytes, Pause], None]


def no_pause() -> None:
    """All steps at once."""


def by_rename_with_backup(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """vim with `backupcopy=no`: the old file becomes the backup, a new one takes the name."""
    probe, backup = path.with_name("4913"), path.with_name(path.name + "~")
    probe.write_bytes(b"")
    probe.unlink(missing_ok=True)
    if path.exists():
        path.rename(backup)
        pause()
    _written(path, data)
    pause()
    backup.unlink(missing_ok=True)


def by_copy_and_truncate(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """vim with `backupcopy=yes`: a backup copy first, then the file itself is emptied and written."""
    backup = path.with_name(path.name + "~")
    if path.exists():
        backup.write_bytes(path.read_bytes())
    in_place(path, data, pause)
    backup.unlink(missing_ok=True)


def in_place(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """nano: the file is emptied and written in one go."""
    with path.open("wb", buffering=0) as file:
        pause()
        file.write(data)
        os.fsync(file.fileno())


def in_place_in_parts(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """A slow program: the file is emptied, then written part by part."""
    part = max(1, len(data) // 5)
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(data), part):
            pause()
            file.write(data[at : at + part])


def by_overwriting(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """Written over the old bytes from the start, cut to length at the end."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as file:
        half = len(data) // 2
        file.write(data[:half])
        pause()
        file.write(data[half:])
        file.truncate(len(data))


def by_replacing(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """VS Code, Obsidian and most scripts: a temporary file beside it takes the name."""
    draft = path.with_name(f".{path.name}.tmp")
    _written(draft, data)
    pause()
    draft.replace(path)


def by_visible_replacing(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """The same with a temporary file that is not hidden."""
    draft = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    _written(draft, data)
    pause()
    draft.replace(path)


def by_synchronising(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """rsync -a: a hidden temporary file with an old time takes the name."""
    draft = path.with_name(f".{path.name}.Xq3f9T")
    _written(draft, data)
    os.utime(draft, ns=(1_600_000_000_123_456_789,) * 2)
    pause()
    draft.replace(path)


def by_checking_out(path: Path, data: bytes, pause: Pause = no_pause) -> None:
    """git: the old file is removed and a new one made."""
    path.unlink(missing_ok=True)
    pause()
    path.parent.mkdir(parents=True, exist_ok=True)
    _written(path, data)


WAYS: tuple[Save, ...] = (
    by_rename_with_backup,
    by_copy_and_truncate,
    in_place,
    in_place_in_parts,
    by_overwriting,
    by_replacing,
    by_visible_replacing,
    by_synchronising,
    by_checking_out,
)


class AgentMemory:
    """The five operations of the agent-memory server, with its very file operations."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.folder, self._now = folder, now

    def path(self, topic: str) -> Path:
        safe = "".join(c if c.isalnum() or c in "-_ " else "_" for c in topic)
        return self.folder / (safe.strip().replace(" ", "-").lower() + ".md")

    def remember(self, topic: str, content: str, pause: Pause = no_pause) -> None:
        path = self.path(topic)
        is_new = not path.exists()
        stamp = self._now().strftime("%Y-%m-%d %H:%M:%S UTC")
        with path.open("a", encoding="utf-8") as file:
            if is_new:
                file.write(f"# {topic}\n\n")
            file.write(f"## {stamp}\n\n")
            pause_flushed(file.flush, pause)
            file.write(content.strip())
            file.write("\n\n")

    def recall(self, topic: str) -> str:
        path = self.path(topic)
        return path.read_text(encoding="utf-8") if path.exists() else f"No memories found for topic '{topic}'."

    def forget(self, topic: str) -> bool:
        path = self.path(topic)
        if not path.exists():
            return False
        os.remove(path)
        return True

    def search(self, keyword: str) -> list[tuple[str, int]]:
        return [
            (path.stem, number)
            for path in sorted(self.folder.glob("*.md"))
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if keyword.lower() in line.lower()
        ]

    def list_topics(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.md"))


def pause_flushed(flush: Callable[[], None], pause: Pause) -> None:
    """A pause that others can see; without one everything stays in the buffer until the end, as in the original."""
    if pause is not no_pause:
        flush()
        pause()


def _written(path: Path, data: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())

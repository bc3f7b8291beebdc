"""A disk of a machine's own: an ext4 file system in a file, that can run full and lose its power.

When the power goes, the disk holds what the system had written to it, and nothing of what was still in memory: what was
not synchronised is lost, what was is there. Writes that a drive keeps in a cache of its own are not part of this.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

# No commits but those that fsync asks for.
OPTIONS = "loop,commit=600"
BALLAST = "ballast"
CHUNK = 1 << 20
FREE_SECONDS = 60.0


class Disk:
    """Mounted at `folder` from its making until it is closed."""

    def __init__(self, image: Path, folder: Path, megabytes: int) -> None:
        self.image, self.folder = image, folder
        folder.mkdir(exist_ok=True)
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        # All inode tables now: the kernel would write them later, while a picture is taken.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        self._mount()

    def picture(self) -> Path:
        """What the disk holds at this moment; nobody may be writing."""
        kept = self.image.with_suffix(".kept")
        _run("cp", "--sparse=always", str(self.image), str(kept))
        return kept

    def back_to(self, picture: Path) -> None:
        """As it was in a picture, with the file system's own repair; all processes that used it must have ended."""
        self._unmount()
        picture.replace(self.image)
        self._mount()

    def fill(self) -> None:
        """Leaves no byte free."""
        with (self.folder / BALLAST).open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(CHUNK))
        with (self.folder / BALLAST).open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(512))

    def relieve(self) -> None:
        """Room again, and so after a loss of power too."""
        (self.folder / BALLAST).unlink(missing_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        self._unmount()
        self.image.unlink(missing_ok=True)

    def keep(self, name: str) -> None:
        """Its files stay behind at `name`, for whoever wants to look."""
        shutil.copytree(self.folder, self.folder.with_name(name), symlinks=True)

    def _mount(self) -> None:
        _run("mount", "-o", OPTIONS, str(self.image), str(self.folder))

    def _unmount(self) -> None:
        end = time.monotonic() + FREE_SECONDS
        while True:
            try:
                return _run("umount", str(self.folder))
            except subprocess.CalledProcessError:
                # A killed process lets go of its files a moment after its end.
                if time.monotonic() > end:
                    raise
            time.sleep(0.01)


def why_no_disk(folder: Path) -> str:
    """Why no disk can be made here; empty where one can."""
    if not (shutil.which("mkfs.ext4") and shutil.which("mount")):
        return "disks need mount and mkfs.ext4"
    try:
        Disk(folder / "probe.img", folder / "probe", 8).close()
    except subprocess.CalledProcessError as error:
        return f"file systems cannot be mounted here: {error.stderr.strip()}"
    finally:
        shutil.rmtree(folder / "probe", ignore_errors=True)
        (folder / "probe.img").unlink(missing_ok=True)
    return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)

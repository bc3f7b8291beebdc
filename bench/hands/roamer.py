"""A person who works on whatever files are there, on a machine where others' renames and removals arrive meanwhile."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.hands.hand import HEADING, Hand, read
from bench.hands.ledger import tokens_in
from bench.hands.world import World
from bench.saving import WAYS

ROOM = "roaming"
FRONT_MATTER = ["---", "tags: [a, b]", "---"]
FOLDERS = ("", "notes", "work/deep", "ünï")


class Roamer(Hand):
    """Adds words to files that anybody made, renames and removes them and their folders. Takes away whole files only.

    A name that is free here may just be taken elsewhere, and a file be saved under a name that it has lost elsewhere:
    there may be two of it then, but never none.
    """

    # How many names there are of a kind in a folder.
    numbers = 30

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world, chance)
        self._room = world.vault / ROOM
        # Words that came into a file between its reading and its saving here, and were saved over.
        self._overwritten: set[str] = set()

    def work(self) -> None:
        self._create()
        self.run(
            self._append, self._append, self._edit, self._edit, self._edit, self._create, self._rename, self._rename,
            self._rename_folder, self._remove,
        )  # fmt: skip

    def hold(self, seconds: float) -> None:
        """The file is open in an editor for so long."""
        self.world.stop.wait(seconds)

    def _create(self) -> None:
        path = self._free("note")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = self.chance.choice(
            ["", f"# {path.stem}\n\n", "\n".join([*FRONT_MATTER, "", ""]), f"## {self.stamp()}\n\n"]
        )
        text = f"{head}{self.text()}{self.chance.choice(['', chr(10)])}"
        try:
            with path.open("x") as file:
                file.write(text)
        except FileExistsError:
            return
        self._wrote(path, text, "made")

    def _append(self) -> None:
        path = self._any()
        text = f"## {self.stamp()}\n\n{self.text()}\n\n" if self.chance.random() < 0.6 else f"{self.line()[0]}\n"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            return
        self.pause()
        os.write(fd, text.encode())
        os.close(fd)
        self._wrote(path, text, "appended")

    def _edit(self) -> None:
        path = self._any()
        if (old := read(path)) is None:
            return
        self.hold(self.chance.choice([0.0, 0.05, 0.3, 1.5]))
        lines, added = old.split("\n"), self.text()
        at = self.chance.choice(_in_content(lines))
        if self.chance.random() < 0.4 and not HEADING.match(lines[at]):
            added = self.line()[0]
            lines[at] += f" {added}"
        else:
            lines.insert(at, added)
        save = self.chance.choice(WAYS)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._overwritten.update(set(tokens_in(read(path) or "")).difference(tokens_in(old)))
        save(path, "\n".join(lines).encode(), self.pause)
        self._wrote(path, added, save.__name__)

    def _rename(self) -> None:
        old, new = self._any(), self._free("renamed")
        new.parent.mkdir(parents=True, exist_ok=True)
        # Not over a file that has come from elsewhere meanwhile.
        subprocess.run(["mv", "--no-clobber", str(old), str(new)], capture_output=True)
        self.world.ledger.did("roaming: renamed", f"{old.relative_to(self._room)} -> {new.relative_to(self._room)}")

    def _rename_folder(self) -> None:
        folders = [it for it in self._room.iterdir() if it.is_dir()]
        to = self._room / f"folder {self.chance.randrange(self.numbers)}"
        if not folders or to.exists() or self.chance.random() < 0.8:
            return
        folder = self.chance.choice(folders)
        folder.rename(to)
        self.world.ledger.did("roaming: folder renamed", f"{folder.name} -> {to.name}")

    def _remove(self) -> None:
        if self.chance.random() < 0.8:
            return
        path, away = self._any(), self.world.outside / f"removed-{self.world.ledger.token()}"
        try:
            path.rename(away)
        except FileNotFoundError:
            return
        gone = tokens_in(away.read_bytes().decode())
        self.world.ledger.remove_from_file(gone)
        # Where no daemon ran in between, the file that is gone was the one with these words.
        self.world.ledger.unsure(self._overwritten)
        self.world.ledger.did("roaming: removed", str(path.relative_to(self._room)), went=gone)

    def _any(self) -> Path:
        found = self._files()
        return self.chance.choice(found) if found else self._free("note")

    def _files(self) -> Sequence[Path]:
        return sorted(self._room.rglob("*.md"))

    def _free(self, name: str) -> Path:
        folder = self._room / self.chance.choice(FOLDERS)
        taken = {path for path in self._files() if path.parent == folder}
        free = (folder / f"{name} {number}.md" for number in range(self.chance.randrange(self.numbers), 10**6))
        return next(path for path in free if path not in taken)

    def _wrote(self, path: Path, text: str, how: str) -> None:
        tokens = tokens_in(text)
        self.world.ledger.fork(tokens)
        self.world.ledger.wrote(tokens, f"{ROOM}/{path.relative_to(self._room)}")
        self.world.ledger.did(f"roaming: {how}", str(path.relative_to(self._room)), tokens)


def _in_content(lines: Sequence[str]) -> Sequence[int]:
    """Where words may be put: what stands in front matter is no memory's content, also where two files became one."""
    begins = (i for i in range(len(lines)) if [*lines[i : i + 3]] == FRONT_MATTER)
    barred = {i + n for i in begins for n in range(3)}
    return [i for i in range(len(lines)) if i not in barred] or [len(lines) - 1]

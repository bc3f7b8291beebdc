"""A person whose files nobody else touches: every byte must stay."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from bench.hands.hand import HEADING, Hand
from bench.hands.ledger import tokens_in
from bench.hands.world import World
from bench.saving import WAYS


class Keeper(Hand):
    """Has files of its own, in which every byte must stay as it was saved."""

    def __init__(self, world: World, chance: random.Random, name: str) -> None:
        super().__init__(world, chance)
        self._home = f"own-{name}"
        self._files: dict[str, bytes] = {}
        self._counter = 0
        world.vault.joinpath(self._home).mkdir()

    def work(self) -> None:
        for _ in range(6):
            self._create()
        self.run(
            self._edit, self._edit, self._edit, self._create, self._rename, self._remove, self._touch,
            self._rename_folder, self._move_out_and_in, self._synchronise, self._exchange,
        )  # fmt: skip

    def _path(self, name: str) -> Path:
        return self.world.vault / self._home / name

    def _save(self, name: str, data: bytes) -> None:
        save = self.chance.choice(WAYS)
        self._path(name).parent.mkdir(exist_ok=True)
        save(self._path(name), data, self.pause)
        self._files[name] = data
        self.world.ledger.did(f"own {save.__name__}", f"{self._home}/{name}")
        if self.chance.random() < 0.3 and (tokens := tokens_in(data.decode())):
            self.world.knows_soon(self.chance.choice(tokens))

    def _create(self) -> None:
        if len(self._files) >= 9:
            return
        self._counter += 1
        name = f"{self.chance.choice(['', 'Sub Folder/'])}Note {self._counter}.md"
        text = self.chance.choice(["", "\ufeff", f"---\ntags: [a{self._counter}]\n---\n"])
        text += self.chance.choice([f"# Note {self._counter}\n\n", f"{self.line()[0]}\n", ""])
        for _ in range(self.chance.randint(0, 5)):
            text += f"## {self.stamp()}{self.chance.choice(['', ' a title'])}\n\n{self.text()}\n\n"
        text += self.chance.choice(["", self.line()[0], "```\nnever closed", f"{self.line()[0]}\n\n\n\n"])
        self._save(name, self._odd(text).encode())

    def _odd(self, text: str) -> str:
        return text.replace("\n", "\r\n") if self.chance.random() < 0.2 else text

    def _edit(self) -> None:
        if not self._files:
            return
        name = self.chance.choice(list(self._files))
        lines = self._files[name].decode().split("\n")
        for _ in range(self.chance.randint(1, 3)):
            # What stands in front matter is no memory's content.
            first = 3 if lines[:1] in (["---"], ["---\r"]) else 0
            at, what = self.chance.randint(min(first, len(lines)), len(lines)), self.chance.random()
            if what < 0.6:
                lines.insert(at, self.line()[0])
            elif what < 0.8:
                lines[at:at] = ["", f"## {self.stamp()}", "", self.line()[0], ""]
            else:
                end = at + self.chance.randint(1, 6)
                # An entry just appended and then taken away with others looks like one that its author has not seen.
                if not any(HEADING.match(line) for line in lines[at:end]):
                    del lines[at:end]
        self._save(name, "\n".join(lines).encode())

    def _rename(self) -> None:
        if not self._files:
            return
        name = self.chance.choice(list(self._files))
        self._counter += 1
        new = f"{self.chance.choice(['', 'Sub Folder/'])}Renamed {self._counter}.md"
        self._path(new).parent.mkdir(exist_ok=True)
        self._path(name).rename(self._path(new))
        self._files[new] = self._files.pop(name)
        self.world.ledger.did("rename", f"{self._home}/{name} -> {new}")

    def _exchange(self) -> None:
        """Two files change names."""
        if len(self._files) < 2:
            return
        one, other = self.chance.sample(list(self._files), 2)
        aside = self.world.outside / f"{self._home.split('~')[0]}.aside"
        self._path(one).rename(aside)
        self.pause()
        self._path(other).rename(self._path(one))
        self.pause()
        aside.rename(self._path(other))
        self._files[one], self._files[other] = self._files[other], self._files[one]
        self.world.ledger.did("names exchanged", f"{self._home}/{one} <-> {other}")

    def _remove(self) -> None:
        if len(self._files) > 4:
            name = self.chance.choice(list(self._files))
            self._path(name).unlink()
            del self._files[name]
            self.world.ledger.did("own removed", f"{self._home}/{name}")

    def _touch(self) -> None:
        if self._files:
            name = self.chance.choice(list(self._files))
            os.utime(self._path(name))
            self.world.ledger.did("touch", f"{self._home}/{name}")

    def _rename_folder(self) -> None:
        if self.chance.random() < 0.7:
            return
        self._counter += 1
        new = f"{self._home.split('~')[0]}~{self._counter}"
        (self.world.vault / self._home).rename(self.world.vault / new)
        self._home = new
        self.world.ledger.did("folder renamed", f"-> {new}")

    def _move_out_and_in(self) -> None:
        if self.chance.random() < 0.8:
            return
        away = self.world.outside / self._home
        (self.world.vault / self._home).rename(away)
        self.world.stop.wait(self.chance.choice([0.0, 0.2, 1.0]))
        away.rename(self.world.vault / self._home)
        self.world.ledger.did("folder out and in", self._home)

    def _synchronise(self) -> None:
        """Removes all and copies all back, as some synchronisers do."""
        if self.chance.random() < 0.8:
            return
        away = self.world.outside / self._home
        shutil.copytree(self.world.vault / self._home, away, copy_function=shutil.copy2)
        shutil.rmtree(self.world.vault / self._home)
        self.pause()
        shutil.copytree(away, self.world.vault / self._home, copy_function=shutil.copy2)
        shutil.rmtree(away)
        self.world.ledger.did("folder removed and copied back", self._home)

    def finish(self) -> dict[str, bytes]:
        """Every file that must be there, by its path in the vault."""
        return {f"{self._home}/{name}": data for name, data in self._files.items()}

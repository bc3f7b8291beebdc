"""Somebody who changes branches: many files at once, forth and back."""

from __future__ import annotations

import random

from bench.hands.hand import Hand
from bench.hands.world import World
from bench.saving import by_checking_out


class Brancher(Hand):
    """Changes many files at once, forth and back, as a checkout does."""

    FILES = 24

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world, chance)
        self._trees = [self._tree(), self._tree()]
        for name in list(self._trees[0])[: self.FILES // 2]:
            self._trees[1][name] = self._trees[0][name]
        for name in list(self._trees[0])[-4:]:
            del self._trees[1][name]
        self._now = 0

    def work(self) -> None:
        self._switch(0)
        self.run(self._flip)

    def _tree(self) -> dict[str, bytes]:
        return {f"repo/docs/page-{n}.md": f"# page {n}\n\n{self._entries()}".encode() for n in range(self.FILES)}

    def _entries(self) -> str:
        return "".join(f"## {self.stamp()}\n\n{self.text()}\n\n" for _ in range(self.chance.randint(0, 4)))

    def _flip(self) -> None:
        self.world.stop.wait(self.chance.choice([0.1, 0.5, 2.0]))
        self._switch(1 - self._now)
        self.world.ledger.did("checkout")

    def _switch(self, to: int) -> None:
        old, new = self._trees[self._now], self._trees[to]
        for name in old.keys() - new.keys():
            (self.world.vault / name).unlink()
        for name, data in new.items():
            if not (self.world.vault / name).exists() or old.get(name) != data:
                by_checking_out(self.world.vault / name, data, lambda: None)
        self._now = to

    def finish(self) -> dict[str, bytes]:
        """Every file that must be there, by its path in the vault."""
        return self._trees[self._now]

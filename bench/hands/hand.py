"""What every hand of the torture can do: make words nobody wrote before, wait, go on until the end."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.hands.world import Down, World

SYLLABLES = "ba de fi go ku la me ni po ru sa te vi wo xa zé ür 東 שלו 🎉 e\u0301t".split()
PLAIN = ["deploy", "billing", "cluster", "queue", "meeting"]
HEADING = re.compile(r"^## [0-9]{4}-[0-9]{2}-[0-9]{2}.*$", re.M)


@dataclass(slots=True)
class Hand:
    """A hand with a will of its own."""

    world: World
    chance: random.Random

    def words(self, least: int = 2, most: int = 9) -> str:
        count = self.chance.randint(least, most)
        made = ("".join(self.chance.choices(SYLLABLES, k=self.chance.randint(2, 4))) for _ in range(count))
        return " ".join([*made, self.chance.choice(PLAIN)])

    def line(self) -> tuple[str, str]:
        token = self.world.ledger.token()
        return f"{self.words()} {token} {self.words()}", token

    def text(self) -> str:
        lines = [self.line()[0] for _ in range(self.chance.randint(1, 4))]
        return self.chance.choice(["\n", "\n\n"]).join(lines)

    def pause(self) -> None:
        if self.chance.random() < 0.5:
            time.sleep(self.chance.choice([0.001, 0.01, 0.05, 0.3]))

    def stamp(self) -> str:
        """A date as people write it; to the second, and of the same second, are those of programs."""
        at = datetime.now(UTC) - timedelta(seconds=self.chance.randint(0, 10_000_000))
        return f"{at:%Y-%m-%d %H:%M}"

    def run(self, *works: Callable[[], None]) -> None:
        while not self.world.stop.is_set():
            try:
                self.chance.choice(works)()
            except Down:
                time.sleep(0.05)
            time.sleep(self.chance.choice(self.world.rests))


def read(path: Path) -> str | None:
    """The text of a file, None where there is none now."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None

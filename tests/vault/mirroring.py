"""A mirror whose merge is the union of lines; its memory is a log that survives its death."""

from __future__ import annotations

import sys
from pathlib import Path

from hiveminddb.errors import Unavailable
from hiveminddb.vault import files
from hiveminddb.vault.swap import Late, Swap


class Lines:
    def __init__(self, root: Path) -> None:
        self._root, self._swap = root, Swap(root)
        self._log = root / ".hivemind" / "log"
        self._log.touch()
        self.all = set(self._log.read_text().splitlines(keepends=True))
        self._n = len(self.all)

    def round(self) -> None:
        """Take in what is there, add a line of ours, and write all."""
        self.take_late()
        found = files.read(self._root, "a.md")
        self._n += 1
        self._take((found.text if found else "") + f"ours {self._n}\n")
        try:
            written = self._swap.write("a.md", "".join(sorted(self.all)), found.digest if found else None)
        except Unavailable:
            return  # Moved away this instant: the next round looks again.
        self._take_late([written.displaced] if written.displaced else [])

    def at_rest(self) -> bool:
        """True when nothing replaced is kept any more."""
        self.take_late()
        return not list((self._root / ".hivemind" / "swap").iterdir())

    def take_late(self) -> None:
        """Take in what slow writers left."""
        self._take_late(self._swap.late())

    def persons(self) -> set[str]:
        """The lines that are not ours."""
        return {line for line in self.all if not line.startswith("ours")}

    def persons_after_a_round(self) -> set[str]:
        """The lines that are not ours once more was taken in."""
        self.round()
        return self.persons()

    def _take_late(self, found: list[Late]) -> None:
        for late in found:
            self._take(late.text)
            self._swap.settle(late)

    def _take(self, text: str) -> None:
        new = set(text.splitlines(keepends=True)) - self.all
        with self._log.open("a") as log:
            log.write("".join(sorted(new)))
        self.all |= new


if __name__ == "__main__":
    mirror = Lines(Path(sys.argv[1]))
    print("going", flush=True)
    while True:
        mirror.round()

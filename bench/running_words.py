"""The texts of the bench scripts: the same on every run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

VOCABULARY = 30_000
NOTE_BYTES = 1000


class Words:
    """Repeatable prose: the words of Python's own reference, with pairs of them as the rare ones, drawn by Zipf."""

    def __init__(self, seed: int) -> None:
        counted = Counter(re.findall(r"[a-z]{3,}", " ".join(topics.values()).lower()))
        common = [word for word, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
        self._rng = np.random.default_rng(seed)
        pairs = self._rng.integers(0, len(common), (2 * VOCABULARY, 2)).tolist()
        rare = dict.fromkeys(common[a] + common[b] for a, b in pairs)
        self._words = [*common, *rare][:VOCABULARY]
        shares = 1 / np.arange(1, len(self._words) + 1)
        self._shares = np.cumsum(shares / shares.sum())

    def text(self, count: int) -> str:
        """A text of so many words."""
        picked = np.searchsorted(self._shares, self._rng.random(count))
        return " ".join(self._words[i] for i in np.minimum(picked, len(self._words) - 1).tolist())

    def note(self, number: int, size: int = NOTE_BYTES) -> str:
        """A note of about that many bytes; `marker(number)` is in no other."""
        text = f"# Note {number}\n\n{marker(number)} {self.text(size // 4)}"
        return text[: text.rindex(" ", 0, size)] + "\n"

    def queries(self, count: int) -> list[str]:
        """Different queries of two to six words."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self.text(2 + len(found) % 5)] = None
        return list(found)


def marker(number: int) -> str:
    """A word that is in one text only."""
    return f"zq{number:07d}x"


def write_notes(vault: Path, count: int, words: Words) -> None:
    """So many notes of 1 KB, in folders of 250."""
    for number in range(count):
        folder = vault / f"area-{number // 250:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"note-{number:06d}.md").write_text(words.note(number), encoding="utf-8")

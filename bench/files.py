"""How soon a file saved in the vault is found by a search, and a memory added by API stands in its file.

Run from the repository: python -m bench.files
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from bench.running import Daemon, Http, Row, arguments, daemon, latency, rendered, report, say, scratch, until
from bench.running_words import Words, marker, write_notes

TARGET_MS = 150.0
RIVAL_NEW = "basic-memory p50: 182 ms at 1,000, 185 ms at 3,000"
RIVAL_EDIT = "basic-memory p50: 163 ms at 1,000, 226 ms at 3,000"
RIVAL_ADD = "basic-memory write_note p50: 346 ms, 527 ms"
FIRST_MARKER = 5_000_000
LOOK_SECONDS = 0.001
LOST_SECONDS = 30.0
LOAD_SECONDS = 600.0
REST_SECONDS = 0.05

Save = Callable[[Path, str], None]


class Saving:
    """Saves files in several ways and waits until a search finds what was saved."""

    def __init__(self, running: Daemon, notes: int) -> None:
        self._running = running
        self._client = running.connect()
        self._notes = sorted(running.vault.rglob("*.md"))
        self._words = Words(23)
        self._chance = random.Random(23)
        self._next = FIRST_MARKER + notes

    def marker(self) -> str:
        """A word that no text has had yet."""
        self._next += 1
        return marker(self._next)

    def new(self, save: Save) -> float:
        """Seconds until a new note is found."""
        word = self.marker()
        path = self._running.vault / f"area-{self._chance.randrange(40):03d}" / f"new-{word}.md"
        path.parent.mkdir(exist_ok=True)
        return self._found(save, path, f"# New\n\n{word} {self._words.text(100)}\n", word)

    def edited(self, save: Save) -> float:
        """Seconds until a line added to an existing note is found."""
        word, path = self.marker(), self._chance.choice(self._notes)
        text = path.read_text(encoding="utf-8")
        return self._found(save, path, f"{text}\n{word} {self._words.text(6)}\n", word)

    def added(self, topic: str) -> float:
        """Seconds from asking to add a memory until its topic's file has it."""
        word = self.marker()
        body = {"content": f"{word} {self._words.text(30)}", "topic": topic or word}
        request = rendered("POST", "/api/v1/memories", body)
        path = self._running.vault / f"{topic or word}.md"
        start = time.perf_counter()
        self._client.send(request)
        until(lambda: _has(path, word.encode()), LOST_SECONDS, f"{word} in {path.name}", LOOK_SECONDS)
        return time.perf_counter() - start

    def _found(self, save: Save, path: Path, text: str, word: str) -> float:
        request = searching(word)
        time.sleep(REST_SECONDS * self._chance.random())
        start = time.perf_counter()
        save(path, text)
        until(lambda: word.encode() in self._client.send(request), LOST_SECONDS, f"a search for {word}", LOOK_SECONDS)
        return time.perf_counter() - start

    def close(self) -> None:
        self._client.close()


def searching(word: str) -> bytes:
    return rendered("POST", "/api/v1/search", {"query": word, "mode": "lexical", "limit": 1})


def in_place(path: Path, text: str) -> None:
    """As nano saves: truncate and write."""
    path.write_text(text, encoding="utf-8")


def by_rename(path: Path, text: str) -> None:
    """As many editors save: a file beside it takes its place."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def _has(path: Path, word: bytes) -> bool:
    try:
        return word in path.read_bytes()
    except FileNotFoundError:
        return False


def loaded(client: Http, notes: int) -> bool:
    """Whether all notes have been taken in and nothing is left to write."""
    status = client.ask("GET", "/api/v1/status")
    return int(status["memories"]) >= notes and int(status["pending"]["mirror"]) == 0


def measure(folder: Path, notes: int, rounds: int, model: str) -> list[Row]:
    """All ways of saving with so many notes in the vault."""
    (folder / "vault").mkdir()
    write_notes(folder / "vault", notes, Words(5))
    with daemon(folder, model) as running:
        client = running.connect()
        took = until(lambda: loaded(client, notes), LOAD_SECONDS, f"{notes} notes are taken in")
        client.close()
        say(f"{notes} notes taken in within {took:.1f} s")
        saving = Saving(running, notes)
        ways: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("new file -> found", RIVAL_NEW, lambda: saving.new(in_place)),
            ("new file by rename -> found", RIVAL_NEW, lambda: saving.new(by_rename)),
            ("edited in place -> found", RIVAL_EDIT, lambda: saving.edited(in_place)),
            ("edited by rename -> found", RIVAL_EDIT, lambda: saving.edited(by_rename)),
            ("added by API, known topic -> in its file", RIVAL_ADD, lambda: saving.added("a-known-topic")),
            ("added by API, new topic -> in its file", RIVAL_ADD, lambda: saving.added("")),
        )
        # In turns, so that load from elsewhere touches all alike.
        taken = [[way() for _, _, way in ways] for _ in range(rounds)]
        saving.close()
    return [
        latency(f"{name}, {notes} notes", times, TARGET_MS, rival, 0.95)
        for (name, rival, _), times in zip(ways, zip(*taken, strict=True), strict=True)
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--notes", type=int, nargs="+", default=[100, 10_000], help="notes in the vault")
    parser.add_argument("--rounds", type=int, default=60, help="saves of each kind")
    parser.add_argument("--embedding-model", default="", help="none: without vectors being filled in behind")
    options = parser.parse_args()
    rows: list[Row] = []
    for notes in options.notes:
        with scratch(options.place) as folder:
            rows += measure(folder, notes, options.rounds, options.embedding_model)
    behind = "no vectors" if options.embedding_model == "none" else "vectors filling in behind"
    report(f"files, {behind}", rows, options.json)


if __name__ == "__main__":
    main()

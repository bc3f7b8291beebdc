"""How long a folder takes whose files all change at once, and how long others wait for their adds meanwhile.

Each file has twenty entries. Files are given other names, given other names and appended to, or replaced under the same
name, as `mv`, `git checkout` and `sed -i` do. Run from the repository: python -m bench.renames
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.files import LOAD_SECONDS, by_rename
from bench.running import (
    Daemon,
    Http,
    Row,
    arguments,
    at_most,
    daemon,
    percentile,
    rendered,
    report,
    say,
    scratch,
    until,
)
from bench.running_words import Words

ENTRIES = 20
PAUSE_SECONDS = 0.02
REST_SECONDS = 2.0
DONE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Way:
    """How every file changes; the beginning of its new name, and how many entries it gets."""

    name: str
    change: Callable[[Path, Path, str], None]
    prefix: str = "n"
    more: int = 0


def renamed(path: Path, new: Path, _more: str) -> None:
    os.rename(path, new)


def appended(path: Path, new: Path, more: str) -> None:
    os.rename(path, new)
    with new.open("a", encoding="utf-8") as file:
        file.write(more)


def replaced(path: Path, new: Path, more: str) -> None:
    by_rename(new, path.read_text(encoding="utf-8") + more)


WAYS = (
    Way("renamed", renamed),
    Way("renamed and appended to", appended, more=1),
    Way("replaced", replaced, prefix="", more=1),
)


def entry(words: Words, number: int) -> str:
    return f"## 2026-01-{1 + number % 28:02d} 10:{number % 60:02d}:00 UTC\n\n{words.text(60)}\n\n"


def write_files(folder: Path, count: int, words: Words) -> None:
    folder.mkdir()
    for number in range(count):
        text = "".join(entry(words, place) for place in range(ENTRIES))
        (folder / f"{number}.md").write_text(f"# A file of many entries\n\n{text}", encoding="utf-8")


def measure(running: Daemon, count: int, way: Way) -> list[Row]:
    """One folder, taken in first; then all its files change while somebody adds."""
    folder, client, words = running.vault / way.name, running.connect(), Words(9)
    write_files(folder, count, Words(7))
    until(lambda: len(_held(client, way)) == count, LOAD_SECONDS, f"{count} files are taken in")
    time.sleep(REST_SECONDS)
    before = _held(client, way)
    wanted = {f"{way.prefix}{number}": before[str(number)] + way.more for number in range(count)}
    more = [entry(words, number) for number in range(count)]
    start, waited = time.perf_counter(), list[float]()
    for number in range(count):
        way.change(folder / f"{number}.md", folder / f"{way.prefix}{number}.md", more[number])
    while _held(client, way) != wanted:
        _add_for_a_while(client, waited)
        if time.perf_counter() - start > DONE_SECONDS:
            raise TimeoutError(f"not all files of {way.name!r} are known as they are")
    took = time.perf_counter() - start
    client.close()
    say(f"{way.name} done")
    adds = f"p50 {percentile(waited, 0.5) * 1e3:.1f} ms, longest {max(waited) * 1e3:.0f} ms"
    return [at_most(f"{count} files {way.name}", took, "s"), Row("the same: an add meanwhile", adds)]


def _held(client: Http, way: Way) -> dict[str, int]:
    """How many memories each file of the folder has."""
    inside = f"{way.name}/"
    found = ((topic["topic"], topic["memories"]) for topic in client.ask("GET", "/api/v1/topics"))
    return {name.removeprefix(inside): int(count) for name, count in found if name.startswith(inside)}


def _add_for_a_while(client: Http, waited: list[float]) -> None:
    for _ in range(10):
        request = rendered("POST", "/api/v1/memories", {"content": f"meanwhile {len(waited)}", "topic": "meanwhile"})
        begin = time.perf_counter()
        client.send(request)
        waited.append(time.perf_counter() - begin)
        time.sleep(PAUSE_SECONDS)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--files", type=int, default=400, help="files in the folder")
    options = parser.parse_args()
    rows: list[Row] = []
    with scratch(options.place) as folder:
        (folder / "vault").mkdir()
        with daemon(folder, "none") as running:
            for way in WAYS:
                rows += measure(running, options.files, way)
    report("a folder of files changed at once, no vectors", rows, options.json)


if __name__ == "__main__":
    main()

"""Files and folders renamed, moved in, removed and found at a start, against the running daemon."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hiveminddb import HiveMind
from hiveminddb.model import Memory
from tests.cli.place import Place
from tests.waiting import wait_until


def write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"note {n}.md").write_text(f"# note {n}\n\n## 2026-01-01 10:00\n\n{folder.name} {n} says so\n\n")


def listed(mind: HiveMind, prefix: str) -> dict[str, Memory]:
    """Memories by content whose topic begins so."""
    return {memory.content: memory for memory in mind.each() if memory.topic.startswith(prefix)}


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    return ((str(path.relative_to(folder)), path.read_bytes()) for path in folder.rglob("*.md"))


def test_a_renamed_folder_of_many_files_keeps_every_memory(place: Place, mind: HiveMind) -> None:
    write(place.vault / "one", 300)
    wait_until(lambda: len(listed(mind, "one/")) == 300)
    ids = {memory.content: memory.id for memory in listed(mind, "one/").values()}
    (place.vault / "one").rename(place.vault / "two")
    wait_until(lambda: len(listed(mind, "two/")) == 300 and not listed(mind, "one/"))
    assert {memory.content: memory.id for memory in listed(mind, "two/").values()} == ids
    assert mind.status().invalidated == 0


def test_a_folder_renamed_while_the_daemon_was_down_keeps_every_memory(place: Place, mind: HiveMind) -> None:
    write(place.vault / "one", 300)
    wait_until(lambda: len(listed(mind, "one/")) == 300)
    ids = {memory.content: memory.id for memory in listed(mind, "one/").values()}
    place.hmd("down")
    (place.vault / "one").rename(place.vault / "two")
    place.hmd("up")
    wait_until(lambda: len(listed(mind, "two/")) == 300 and not listed(mind, "one/"))
    assert {memory.content: memory.id for memory in listed(mind, "two/").values()} == ids


def test_files_renamed_and_edited_at_once_keep_their_memories(place: Place, mind: HiveMind) -> None:
    write(place.vault / "one", 3)
    wait_until(lambda: len(listed(mind, "one/")) == 3)
    ids = {memory.content: memory.id for memory in listed(mind, "one/").values()}
    for n in range(3):
        path = place.vault / "one" / f"note {n}.md"
        path.rename(place.vault / f"renamed {n}.md")
        with (place.vault / f"renamed {n}.md").open("a") as file:
            file.write("## 2026-01-02 10:00\n\nmore\n\n")
    wait_until(lambda: "more" in listed(mind, "renamed") and not listed(mind, "one/"))
    wait_until(lambda: sum(memory.content == "more" for memory in mind.each()) == 3)
    assert {content: memory.id for content, memory in listed(mind, "renamed").items() if content in ids} == ids


@pytest.mark.parametrize("running", [True, False])
def test_files_that_each_take_the_name_of_the_next_keep_their_memories(
    place: Place, mind: HiveMind, running: bool
) -> None:
    write(place.vault / "log", 3)
    wait_until(lambda: len(listed(mind, "log/")) == 3)
    ids = {memory.content: memory.id for memory in listed(mind, "log/").values()}
    if not running:
        place.hmd("down")
    for n in (2, 1, 0):
        (place.vault / "log" / f"note {n}.md").rename(place.vault / "log" / f"note {n + 1}.md")
    (place.vault / "log" / "note 0.md").write_text("# today\n\n## 2026-05-05 10:00\n\nnothing has happened yet\n")
    if not running:
        place.hmd("up")
    wanted = {f"log {n} says so": f"log/note {n + 1}" for n in range(3)}

    def said() -> dict[str, Memory]:
        return {content: memory for content, memory in listed(mind, "log/").items() if content in wanted}

    wait_until(lambda: "nothing has happened yet" in listed(mind, "log/note 0"))
    wait_until(lambda: {content: memory.topic for content, memory in said().items()} == wanted)
    assert {content: memory.id for content, memory in said().items()} == ids


def test_a_folder_moved_in_and_removed_whole(place: Place, mind: HiveMind, tmp_path: Path) -> None:
    write(tmp_path / "outside", 200)
    before = dict(texts(tmp_path / "outside"))
    (tmp_path / "outside").rename(place.vault / "inside")
    wait_until(lambda: len(listed(mind, "inside/")) == 200)
    assert dict(texts(place.vault / "inside")) == before
    shutil.rmtree(place.vault / "inside")
    wait_until(lambda: not listed(mind, "inside/"))
    assert mind.status().invalidated == 200
    assert mind.status().vault.state == "mirrored"


def test_a_checkout_of_hundreds_of_files_and_back(place: Place, mind: HiveMind, tmp_path: Path) -> None:
    write(place.vault / "repo", 250)
    wait_until(lambda: len(listed(mind, "repo/")) == 250)
    ids = {memory.content: memory.id for memory in listed(mind, "repo/").values()}
    old = dict(texts(place.vault / "repo"))
    for name, data in old.items():
        (place.vault / "repo" / name).unlink()
        (place.vault / "repo" / name).write_bytes(data.replace(b"says so", b"says something else altogether"))
    wait_until(lambda: all("something else" in content for content in listed(mind, "repo/")))
    for name, data in old.items():
        (place.vault / "repo" / name).unlink()
        (place.vault / "repo" / name).write_bytes(data)
    wait_until(lambda: {m.content: m.id for m in listed(mind, "repo/").values()} == ids)
    assert dict(texts(place.vault / "repo")) == old


def test_two_thousand_files_at_a_cold_start_are_taken_in_and_not_touched(place: Place, mind: HiveMind) -> None:
    place.hmd("down")
    write(place.vault / "many", 2000)
    before = dict(texts(place.vault))
    place.hmd("up")
    wait_until(lambda: mind.status().memories == 2000)
    assert dict(texts(place.vault)) == before
    place.hmd("down")
    place.hmd("up")
    changes = mind.status().changes
    mind.add("after it looked at all of them again", topic="last")
    wait_until(lambda: (place.vault / "last.md").exists())
    assert mind.status().changes == changes + 2

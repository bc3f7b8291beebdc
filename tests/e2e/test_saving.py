"""Every way in which a program saves a file, against the running daemon: text, identity and bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.saving import WAYS, Save, in_place_in_parts
from hiveminddb import HiveMind
from hiveminddb.answers import TopicText
from hiveminddb.errors import NotFound
from tests.cli.place import Place
from tests.waiting import wait_until

FILE = "# notes\n\n## 2026-01-01 10:00\n\nfirst\n\n## 2026-01-02 10:00\n\nsecond\n\n"


def topic(mind: HiveMind, name: str) -> TopicText | None:
    try:
        return mind.topic(name)
    except NotFound:
        return None


def contents(mind: HiveMind, name: str) -> list[str]:
    found = topic(mind, name)
    return [memory.content for memory in found.memories] if found else []


def agree(mind: HiveMind, path: Path, name: str) -> bool:
    found = topic(mind, name)
    return found is not None and path.exists() and path.read_bytes() == found.text.encode()


def save_known(mind: HiveMind, path: Path, text: str, name: str = "notes") -> None:
    """Saves a file and waits until the daemon says what it says."""
    path.write_text(text)
    wait_until(lambda: (found := topic(mind, name)) is not None and found.text == text)


@pytest.mark.parametrize("save", WAYS, ids=lambda save: save.__name__)
def test_an_edit_is_an_edit_however_it_is_saved(place: Place, mind: HiveMind, save: Save) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    ids = {memory.content: memory.id for memory in mind.topic("notes").memories}
    edited = FILE.replace("second", "second, edited")
    save(path, edited.encode(), lambda: None)
    wait_until(lambda: contents(mind, "notes") == ["first", "second, edited"])
    assert [memory.id for memory in mind.topic("notes").memories] == [ids["first"], ids["second"]]
    assert path.read_text() == edited


@pytest.mark.parametrize("save", WAYS, ids=lambda save: save.__name__)
def test_a_stale_buffer_reverts_nothing_however_it_is_saved(place: Place, mind: HiveMind, save: Save) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    added = [f"added {n} by an agent while somebody was editing" for n in range(20)]
    for content in added:
        mind.add(content, topic="notes")
    wait_until(lambda: added[-1] in path.read_text())
    for edit in ("first, edited", "first, edited twice", "first, edited three times"):
        save(path, FILE.replace("first", edit).encode(), lambda: None)
        wait_until(lambda edit=edit: contents(mind, "notes") == [edit, "second", *added])  # type: ignore[misc]
    wait_until(lambda: agree(mind, path, "notes"))


def test_a_file_that_is_written_slowly_is_read_when_it_is_whole(place: Place, mind: HiveMind) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    version = mind.topic("notes").memories[1].version

    def pause() -> None:
        # The daemon goes on meanwhile, and has time to look.
        wait_until(lambda: mind.add("meanwhile", topic="elsewhere"))
        wait_until(lambda: agree(mind, place.vault / "elsewhere.md", "elsewhere"))

    in_place_in_parts(path, FILE.replace("second", "second, slowly").encode(), pause)
    wait_until(lambda: contents(mind, "notes") == ["first", "second, slowly"])
    assert mind.topic("notes").memories[1].version == version + 1


def test_an_append_to_a_file_that_the_daemon_replaces_meanwhile_is_kept(place: Place, mind: HiveMind) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    first = mind.topic("notes").memories[0]
    with path.open("a") as slow:
        slow.write("## 2026-01-03 10:00:00 UTC\n\n")
        slow.flush()
        for n in range(3):
            mind.update(first.id, content=f"first, edited {n}")
        wait_until(lambda: "first, edited 2" in path.read_text())
        slow.write("by a slow program\n\n")
    wait_until(lambda: contents(mind, "notes") == ["first, edited 2", "second", "by a slow program"])
    wait_until(lambda: agree(mind, path, "notes"))
    wait_until(lambda: not os.listdir(place.vault / ".hivemind" / "swap"))


def test_touching_a_file_changes_nothing(place: Place, mind: HiveMind) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    changes = mind.status().changes
    for _ in range(5):
        os.utime(path)
        path.replace(path.with_name("moved.tmp"))
        path.with_name("moved.tmp").replace(path)
    mind.add("so that there is something to wait for", topic="other")
    wait_until(lambda: (place.vault / "other.md").exists())
    assert mind.status().changes == changes + 2
    assert [memory.version for memory in mind.topic("notes").memories] == [1, 1]


def test_an_edit_of_the_same_size_whose_time_is_set_back_is_an_edit(place: Place, mind: HiveMind) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    with path.open("r+b", buffering=0) as file:
        before = os.fstat(file.fileno())
        file.write(FILE.replace("second", "SECOND").encode())
        os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
    wait_until(lambda: contents(mind, "notes") == ["first", "SECOND"])


def test_an_edit_in_the_middle_of_ten_megabytes(place: Place, mind: HiveMind) -> None:
    path = place.vault / "large.md"
    entries = [f"## 2026-01-01 {n // 60 % 24:02}:{n % 60:02}\n\nentry {n} " + "words " * 350 for n in range(5000)]
    text = "\n\n".join(entries) + "\n"
    save_known(mind, path, text, "large")
    by_number = {memory.content.split()[1]: memory.id for memory in mind.topic("large").memories}
    edited = text.replace("entry 2500 ", "entry 2500 edited ")
    path.write_text(edited)
    wait_until(lambda: mind.get(by_number["2500"]).content.startswith("entry 2500 edited"))
    assert mind.topic("large").text == edited
    assert {memory.id for memory in mind.topic("large").memories} == set(by_number.values())
    mind.add("at its end", topic="large")
    wait_until(lambda: agree(mind, path, "large"))


def test_deleting_an_entry_or_a_file_can_be_undone_byte_by_byte(place: Place, mind: HiveMind) -> None:
    path = place.vault / "notes.md"
    odd = FILE.replace("\n\nsecond", "\r\n\r\n  second \t") + "\n\n\nno newline at the end"
    save_known(mind, path, odd)
    first = mind.topic("notes").memories[0]
    path.write_text(odd.replace("## 2026-01-01 10:00\n\nfirst\n\n", ""))
    wait_until(lambda: mind.get(first.id).invalidated_at)
    assert mind.get(first.id).invalidated_by == "file"
    mind.restore(first.id)
    wait_until(lambda: path.read_bytes() == odd.encode())
    path.unlink()
    wait_until(lambda: topic(mind, "notes") is None)
    mind.restore_topic("notes")
    wait_until(lambda: path.exists() and path.read_bytes() == odd.encode())
    assert mind.get(first.id).invalidated_at is None


def test_imported_memories_keep_their_dates(place: Place, mind: HiveMind) -> None:
    (place.vault / "old.md").write_text("# old\n\n## 2019-05-06 07:08:09 UTC\n\nlong ago\n\n")
    wait_until(lambda: topic(mind, "old"))
    assert [memory.created_at.isoformat() for memory in mind.topic("old").memories] == ["2019-05-06T07:08:09+00:00"]


@pytest.mark.parametrize("whole", [True, False], ids=["by topic", "by id"])
def test_what_was_removed_a_moment_ago_is_restored(place: Place, mind: HiveMind, whole: bool) -> None:
    path = place.vault / "notes.md"
    save_known(mind, path, FILE)
    first, second = mind.topic("notes").memories
    mind.forget(first.id)
    wait_until(lambda: agree(mind, path, "notes"))
    path.unlink()
    if whole:
        assert mind.restore_topic("notes").count == 1
    else:
        assert mind.restore(second.id).id == second.id
    wait_until(lambda: contents(mind, "notes") == ["second"])
    wait_until(lambda: agree(mind, path, "notes"))

"""Files the daemon does not touch, says so, and takes in once they are mended; places where it cannot write."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hiveminddb import HiveMind
from hiveminddb.errors import NotFound
from tests.cli.place import Place
from tests.waiting import wait_until


def topics(mind: HiveMind) -> set[str]:
    return {topic.topic for topic in mind.topics()}


def reason(mind: HiveMind) -> str:
    return mind.status().vault.reason


def awake(place: Place, mind: HiveMind, name: str) -> None:
    """Waits until the mirror has gone round once more."""
    mind.add("wake up", topic=name)
    wait_until(lambda: (place.vault / f"{name}.md").exists())


def test_a_file_that_is_not_utf8_is_left_alone_until_it_is_repaired(place: Place, mind: HiveMind) -> None:
    path = place.vault / "latin.md"
    path.write_bytes("# latin\n\nGrüße\n".encode("latin-1"))
    wait_until(lambda: "latin" in reason(mind))
    assert path.read_bytes() == "# latin\n\nGrüße\n".encode("latin-1")
    assert "latin" not in topics(mind)
    path.write_bytes("# latin\n\nGrüße\n".encode())
    wait_until(lambda: "latin" in topics(mind))
    wait_until(lambda: not reason(mind))
    assert mind.topic("latin").text == "# latin\n\nGrüße\n"


def test_a_known_file_that_becomes_unreadable_loses_nothing(place: Place, mind: HiveMind) -> None:
    mind.add("by an agent", topic="notes")
    path = place.vault / "notes.md"
    wait_until(lambda: path.exists() and not mind.status().pending.mirror)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\xff\xfe broken")
    wait_until(lambda: "notes" in reason(mind))
    mind.add("added while it was broken", topic="notes")
    awake(place, mind, "other")
    assert path.read_bytes() == whole + b"\xff\xfe broken"
    path.write_bytes(whole + b"## 2026-01-01 10:00\n\nmended\n\n")
    wait_until(lambda: "added while it was broken" in path.read_text())
    contents = [memory.content for memory in mind.topic("notes").memories]
    assert sorted(contents) == ["added while it was broken", "by an agent", "mended"]
    assert not reason(mind)


def test_links_are_neither_followed_nor_written_through(place: Place, mind: HiveMind) -> None:
    outside = place.folder / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("# secret\n\nnot for the vault\n")
    (place.vault / "link.md").symlink_to(outside / "secret.md")
    (place.vault / "folder").symlink_to(outside)
    (place.vault / "loop").symlink_to(place.vault)
    wait_until(lambda: "link" in reason(mind) and "folder" in reason(mind))
    mind.add("must not land outside", topic="link")
    awake(place, mind, "other")
    assert (outside / "secret.md").read_text() == "# secret\n\nnot for the vault\n"
    assert os.listdir(outside) == ["secret.md"]
    assert (place.vault / "link.md").is_symlink()
    assert not mind.search("not for the vault", mode="lexical", topic="folder/secret")


def test_a_pipe_and_a_folder_with_the_name_of_a_topic_block_nothing(place: Place, mind: HiveMind) -> None:
    os.mkfifo(place.vault / "pipe.md")
    (place.vault / "folder.md").mkdir()
    mind.add("to a pipe", topic="pipe")
    mind.add("to a folder", topic="folder")
    awake(place, mind, "other")
    wait_until(lambda: "pipe" in reason(mind) and "folder" in reason(mind))
    (place.vault / "folder.md").rmdir()
    (place.vault / "pipe.md").unlink()
    wait_until(lambda: "to a folder" in text(place.vault / "folder.md"))
    wait_until(lambda: "to a pipe" in text(place.vault / "pipe.md"))


def test_hostile_names_stay_inside_the_vault_or_are_left_alone(place: Place, mind: HiveMind) -> None:
    for name in ("../up", "/etc/passwd", "a/../../b", "..", "CON", "x" * 300, "a\\b", ".hidden", "Ünïcode 東京"):
        mind.add("a hostile name", topic=name)
    wait_until(lambda: not mind.status().pending.mirror)
    odd = {b"bad\xff.md", b"new\nline.md", b"tab\t.md"}
    for raw in odd:
        (Path(os.fsdecode(os.fsencode(place.vault) + b"/" + raw))).write_text("# odd\n\ntext\n")
    (place.vault / "With Space.MD").write_text("not a topic\n")
    (place.vault / "Case.md").write_text("# Case\n\nupper\n")
    (place.vault / "case.md").write_text("# case\n\nlower\n")
    wait_until(lambda: {"Case", "case"} <= topics(mind))
    assert mind.topic("Case").text != mind.topic("case").text
    wait_until(lambda: "bad" in reason(mind))
    inside = {path for path in place.folder.rglob("*.md")}
    assert all(place.vault in path.parents for path in inside)
    assert all("/" not in topic and not topic.startswith(".") for topic in topics(mind))


def test_a_folder_that_may_not_be_written_delays_its_files_and_nothing_else(place: Place, mind: HiveMind) -> None:
    folder = place.vault / "sealed"
    folder.mkdir()
    (folder / "notes.md").write_text("# notes\n\n## 2026-01-01 10:00\n\nfirst\n\n")
    wait_until(lambda: "sealed/notes" in topics(mind))
    memory = mind.topic("sealed/notes").memories[0]
    with sealed(folder):
        mind.update(memory.id, content="first, edited by an agent")
        wait_until(lambda: "sealed/notes" in reason(mind))
        awake(place, mind, "other")
        assert mind.get(memory.id).content == "first, edited by an agent"
        assert "edited" not in (folder / "notes.md").read_text()
    wait_until(lambda: "first, edited by an agent" in (folder / "notes.md").read_text())
    wait_until(lambda: not reason(mind))


def test_a_full_disk_delays_files_and_loses_nothing(place: Place, mind: HiveMind, small_disk: Path) -> None:
    place.hmd("down")
    subprocess.run(["mv", str(place.vault), str(place.folder / "former")], check=True)
    place.vault.symlink_to(small_disk)
    place.hmd("up")
    wait_until(lambda: mind.status().vault.state == "stopped" or not mind.status().vault.reason)
    mind.add("before the disk was full", topic="notes")
    wait_until(lambda: (small_disk / "notes.md").exists())
    before = (small_disk / "notes.md").read_bytes()
    (small_disk / "filler").write_bytes(b"x" * (room(small_disk) - 4096))
    for n in range(8):
        mind.add(f"memory {n} " + "on a full disk " * 500, topic="notes")
    wait_until(lambda: "notes" in reason(mind))
    assert (small_disk / "notes.md").read_bytes()[: len(before)] == before
    (small_disk / "filler").unlink()
    wait_until(lambda: all(f"memory {n} on" in text(small_disk / "notes.md") for n in range(8)))
    assert text(small_disk / "notes.md") == mind.topic("notes").text
    wait_until(lambda: not reason(mind))


def text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, IsADirectoryError):
        return ""


def room(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class sealed:
    """A folder nobody may write to: by attribute where the test runs as root, who may write anywhere else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        if os.geteuid():
            self._folder.chmod(0o500)
        elif subprocess.run(["chattr", "-R", "+i", str(self._folder)], capture_output=True).returncode:
            pytest.skip("no immutable files here")

    def __exit__(self, *_: object) -> None:
        if os.geteuid():
            self._folder.chmod(0o700)
        else:
            subprocess.run(["chattr", "-R", "-i", str(self._folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_topic_that_is_not_there_is_not_found(mind: HiveMind) -> None:
    with pytest.raises(NotFound):
        mind.topic("nowhere")

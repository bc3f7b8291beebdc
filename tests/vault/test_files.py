"""A file is read when nobody is writing it, and links are never followed."""

from __future__ import annotations

import os
import select
import shutil
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hiveminddb.errors import TooLarge, VaultError
from hiveminddb.vault import files
from hiveminddb.vault.files import Reading
from hiveminddb.vault.swap import Swap
from hiveminddb.vault.system import LINUX, Unreadable, is_written_to
from tests.vault.processes import actor
from tests.waiting import wait_until

leases = pytest.mark.skipif(not LINUX, reason="only Linux says whether somebody is writing")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(text=st.text())
def test_every_character_is_read(root: Path, text: str) -> None:
    (root / "a.md").write_bytes(text.encode())
    found = files.read(root, "a.md", known_size=0)
    assert found and found.text == text and found.digest == files.digest_of(text)


def test_no_file_is_nothing(root: Path) -> None:
    assert files.read(root, "a.md") is None
    assert files.read(root, "x/a.md") is None
    assert files.look(root, "a.md") is None


def test_below_a_file_that_has_the_name_of_a_folder_is_nothing(root: Path) -> None:
    (root / "x").write_text("once a folder")
    assert files.look(root, "x/a.md") is None
    assert files.read(root, "x/y/a.md") is None
    (root / "z").symlink_to(root)
    with pytest.raises(Unreadable):
        files.look(root, "z/a.md")


def test_a_file_missing_from_what_is_no_vault_any_more_is_not_a_missing_file(root: Path) -> None:
    shutil.rmtree(root / ".hivemind")
    with pytest.raises(VaultError, match="not the vault"):
        files.look(root, "a.md")
    with pytest.raises(VaultError, match="not the vault"):
        files.read(root, "a.md")
    shutil.rmtree(root)
    with pytest.raises(VaultError, match="vanished"):
        files.look(root, "a.md")


def test_links_are_not_followed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.md").write_text("secret")
    (root / "link.md").symlink_to(outside / "x.md")
    (root / "folder").symlink_to(outside)
    for path in ("link.md", "folder/x.md"):
        with pytest.raises(Unreadable):
            files.read(root, path)
        with pytest.raises(Unreadable):
            files.look(root, path)


def test_what_is_no_plain_text_file_is_left_alone(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    (root / "folder.md").mkdir()
    (root / "binary.md").write_bytes(b"ab\xff")
    for path in ("pipe.md", "folder.md", "binary.md"):
        with pytest.raises(Unreadable):
            files.read(root, path)
    with (root / "huge.md").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(TooLarge):
        files.read(root, "huge.md")


def test_paths_out_of_the_vault_are_refused(root: Path) -> None:
    for path in ("../a.md", "/etc/a.md", ".hivemind/a.md", "a"):
        with pytest.raises(VaultError):
            files.read(root, path)


@leases
def test_a_file_open_for_writing_elsewhere_is_known(root: Path) -> None:
    (root / "a.md").write_text("x")
    fd = os.open(root / "a.md", os.O_RDONLY)
    with actor() as other:
        assert is_written_to(fd) is False
        other.does(f"f = open({str(root / 'a.md')!r}, 'a')")
        assert is_written_to(fd) is True
        other.does("f.close()")
        assert is_written_to(fd) is False
        other.does(f"f = open({str(root / 'a.md')!r})")
        assert is_written_to(fd) is False
    os.close(fd)


@leases
def test_looking_harms_no_writer_that_comes_at_that_moment(root: Path) -> None:
    (root / "a.md").write_text("x")
    fd = os.open(root / "a.md", os.O_RDONLY)
    with actor() as other:
        other.begins(f"for i in range(3000): open({str(root / 'a.md')!r}, 'a').close()")
        while not _ready(other.process.stdout):
            is_written_to(fd)
        assert other.process.poll() is None
    os.close(fd)


def _ready(stream: IO[str] | None) -> bool:
    return stream is not None and bool(select.select([stream], [], [], 0)[0])


@leases
def test_a_file_written_in_steps_is_read_when_it_is_whole(root: Path) -> None:
    (root / "a.md").write_text("old and long enough\n")
    with actor() as other:
        other.does(f"f = open({str(root / 'a.md')!r}, 'w'); f.flush()")
        reading = Reading(root, "a.md", known_size=20)
        assert reading.attempt() is None
        other.does("f.write('new '); f.flush()")
        assert reading.attempt() is None
        other.does("f.write('text\\n'); f.close()")
        found = wait_until(reading.attempt)
    assert found and found.text == "new text\n"


@leases
def test_a_file_that_stays_open_is_read_when_it_rests(root: Path) -> None:
    (root / "a.md").write_text("log\n")
    with actor() as other:
        other.does(f"f = open({str(root / 'a.md')!r}, 'a'); f.write('more\\n'); f.flush()")
        began = time.monotonic()
        found = files.read(root, "a.md", known_size=4)
        assert found and found.text == "log\nmore\n"
        assert time.monotonic() - began >= files.PATIENCE


def test_a_file_replaced_while_it_was_open_is_read_anew(root: Path) -> None:
    (root / "a.md").write_text("one")
    with actor() as other:
        other.does(f"f = open({str(root / 'a.md')!r}, 'a')")
        reading = Reading(root, "a.md", known_size=3)
        reading.attempt()
        (root / "b").write_text("two")
        (root / "b").rename(root / "a.md")
        found = wait_until(reading.attempt)
    assert found and found.text == "two"


def test_a_file_is_as_old_as_it_was_under_its_former_name_whatever_is_written_to_it(root: Path) -> None:
    (root / "a.md").write_text("one")
    before = files.read(root, "a.md")
    (root / "a.md").rename(root / "b.md")
    with (root / "b.md").open("a") as file:
        file.write(" two")
    (root / "new.md").write_text("three")
    after, other = files.read(root, "b.md"), files.read(root, "new.md")
    assert before and after and other
    if not before.born_ns:
        pytest.skip("this file system does not tell when a file came to be")
    assert before.born_ns == after.born_ns <= after.stat.ctime_ns <= time.time_ns()
    assert other.born_ns >= after.stat.mtime_ns


def test_a_reader_is_noticed_and_we_are_not(root: Path, swap: Swap) -> None:
    written = swap.write("a.md", "text\n", None).stat
    if not swap.unread_since_write("a.md", written):
        pytest.skip("this file system does not say when a file was read")
    files.read(root, "a.md")
    files.look(root, "a.md")
    assert swap.unread_since_write("a.md", written)
    (root / "a.md").write_bytes(b"stale save")
    assert swap.unread_since_write("a.md", written)
    (root / "a.md").read_text()
    assert not swap.unread_since_write("a.md", written)


def test_another_file_under_the_name_proves_nothing(root: Path, swap: Swap) -> None:
    written = swap.write("a.md", "text\n", None).stat
    (root / "b").write_text("by rename")
    (root / "b").rename(root / "a.md")
    assert not swap.unread_since_write("a.md", written)
    (root / "a.md").unlink()
    assert not swap.unread_since_write("a.md", written)


def test_a_save_by_truncate_and_write_is_never_seen_half(root: Path) -> None:
    whole = {f"version {n}\n" * 2000 for n in range(2)}
    (root / "a.md").write_text(min(whole))
    stop = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not stop.is_set():
            if found := files.read(root, "a.md", known_size=20_000):
                seen.add(found.text)

    reader = threading.Thread(target=look)
    reader.start()
    with actor() as other:
        other.does(
            f"for i in range(300):\n f = open({str(root / 'a.md')!r}, 'w', 100)\n"
            " f.write(f'version {i % 2}\\n' * 2000)\n f.close()"
        )
    stop.set()
    reader.join()
    assert seen <= whole if LINUX else seen

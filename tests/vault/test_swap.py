"""What we replace is looked at afterwards; nothing anybody wrote is lost, whatever dies or comes in between."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hiveminddb.errors import DiskFull, InvalidInput, TooLarge, Unavailable, VaultError
from hiveminddb.vault import files, system
from hiveminddb.vault.files import digest_of
from hiveminddb.vault.swap import Swap
from hiveminddb.vault.system import LINUX, Unreadable
from tests.vault.processes import REPOSITORY, actor
from tests.waiting import wait_until


def kept(root: Path) -> list[str]:
    return sorted(os.listdir(root / ".hivemind" / "swap"))


def text_of(root: Path, path: str = "a.md") -> str:
    return (root / path).read_bytes().decode()


@pytest.fixture(params=["exchange", "replace"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without a file system that can exchange two names."""
    if request.param == "replace":
        monkeypatch.setattr(system, "_renameat2", None)
    elif not LINUX:
        pytest.skip("only Linux exchanges")
    return str(request.param)


def test_a_text_is_written_and_nothing_stays_behind(root: Path, way: str) -> None:
    swap = Swap(root)
    written = swap.write("a.md", "one\r\n\x00é", None)
    assert text_of(root) == "one\r\n\x00é" and written.displaced is None
    assert files.look(root, "a.md") == written.stat
    written = swap.write("a.md", "two", digest_of("one\r\n\x00é"))
    assert text_of(root) == "two" and written.displaced is None
    assert files.look(root, "a.md") == written.stat
    wait_until(lambda: swap.late() == [] and not kept(root))


def test_folders_are_made(root: Path, swap: Swap) -> None:
    swap.write("projects/deep/x.md", "x", None)
    assert text_of(root, "projects/deep/x.md") == "x"


def test_folders_that_are_empty_since_files_were_taken_away_go_in_the_end(root: Path, swap: Swap) -> None:
    for path in ("projects/deep/x.md", "projects/y.md", "kept/z.md"):
        swap.write(path, "x", None)
        swap.remove(path, digest_of("x"))
    swap.write("projects/deep/x.md", "x", None)
    (root / "kept/.picture").touch()
    (root / "of a person").mkdir()
    swap.drop_empty_folders(3600)
    assert {"projects", "kept", "of a person"} <= {*os.listdir(root)}
    swap.drop_empty_folders(0)
    assert (root / "projects/deep/x.md").exists() and (root / "kept/.picture").exists()
    swap.remove("projects/deep/x.md", digest_of("x"))
    swap.drop_empty_folders(0)
    swap.drop_empty_folders(0)
    assert {*os.listdir(root)} == {".hivemind", "kept", "of a person"}


def test_an_edit_that_came_in_between_is_handed_over(root: Path, way: str) -> None:
    swap = Swap(root)
    (root / "a.md").write_text("an edit nobody read")
    late = swap.write("a.md", "ours", digest_of("known")).displaced
    assert late and (late.path, late.text, late.was) == ("a.md", "an edit nobody read", digest_of("known"))
    assert text_of(root) == "ours"
    assert swap.late() == []
    assert Swap(root).late() == [late]
    swap.settle(late)
    assert Swap(root).late() == []
    wait_until(lambda: swap.late() == [] and not kept(root))


def test_a_file_where_none_was_expected_stays_as_it_is(root: Path, way: str) -> None:
    swap = Swap(root)
    (root / "a.md").write_text("somebody was first")
    with pytest.raises(Unavailable, match="came while it was to be made"):
        swap.write("a.md", "ours", None)
    assert text_of(root) == "somebody was first" and not kept(root)


def test_a_file_that_was_just_removed_or_renamed_is_not_made_again(root: Path, way: str) -> None:
    swap = Swap(root)
    swap.write("projects/a.md", "known", None)
    (root / "projects/a.md").rename(root / "projects/b.md")
    with pytest.raises(Unavailable):
        swap.write("projects/a.md", "ours", digest_of("known"))
    (root / "projects").rename(root / "moved")
    with pytest.raises(Unavailable):
        swap.write("projects/a.md", "ours", digest_of("known"))
    assert not kept(root)
    assert [str(it.relative_to(root)) for it in root.glob("[!.]*/*")] == ["moved/b.md"]


def test_another_file_put_in_the_place_of_the_one_that_was_looked_at_stays_where_it_is(root: Path, way: str) -> None:
    swap = Swap(root)
    known = swap.write("a.md", "known", None).stat
    (root / "b.md").write_text("of another name until now")
    (root / "a.md").rename(root / "c.md")
    (root / "b.md").rename(root / "a.md")
    with pytest.raises(Unavailable, match="another file has come in its place"):
        swap.write("a.md", "ours", digest_of("known"), known.inode)
    with pytest.raises(Unavailable, match="another file has come in its place"):
        swap.remove("a.md", digest_of("known"), known.inode)
    assert text_of(root) == "of another name until now" and not kept(root)


@pytest.mark.skipif(not LINUX, reason="only Linux exchanges")
@pytest.mark.parametrize("step", ["exchange", "rename_new"])
def test_another_file_that_comes_just_before_the_names_are_changed_goes_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    swap = Swap(root)
    known = swap.write("a.md", "known", None).stat
    (root / "b.md").write_text("of another name until now")
    change = getattr(system, step)

    def late(*given: Any) -> None:
        if (root / "b.md").exists():
            (root / "a.md").rename(root / "c.md")
            (root / "b.md").rename(root / "a.md")
        change(*given)

    monkeypatch.setattr(system, step, late)
    with pytest.raises(Unavailable, match="another file has come in its place"):
        if step == "exchange":
            swap.write("a.md", "ours", digest_of("known"), known.inode)
        else:
            swap.remove("a.md", digest_of("known"), known.inode)
    assert (text_of(root), text_of(root, "c.md")) == ("of another name until now", "known") and not kept(root)


@pytest.mark.skipif(not LINUX, reason="only Linux exchanges")
def test_one_that_has_gone_on_by_the_time_it_is_to_go_back_is_not_lost(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = Swap(root)
    known = swap.write("a.md", "known", None).stat
    exchange = system.exchange
    (root / "b.md").write_text("of another name until now")
    steps = iter([("a", "c", "b", "a"), ("a", "d")])

    def late(*given: Any) -> None:
        names = next(steps, ())
        for old, new in zip(names[::2], names[1::2], strict=True):
            (root / f"{old}.md").rename(root / f"{new}.md")
        exchange(*given)

    monkeypatch.setattr(system, "exchange", late)
    with pytest.raises(Unavailable):
        swap.write("a.md", "ours", digest_of("known"), known.inode)
    found = {it.name: it.read_text() for it in root.glob("*.md")}
    assert found == {"a.md": "of another name until now", "c.md": "known", "d.md": "ours"} and not kept(root)


def test_a_writer_that_still_has_the_old_file_open_is_heard(root: Path, swap: Swap, way: str) -> None:
    swap.write("a.md", "one\n", None)
    with actor() as other:
        other.does(f"f = open({str(root / 'a.md')!r}, 'a')")
        assert swap.write("a.md", "two\n", digest_of("one\n")).displaced is None
        other.does("f.write('late\\n'); f.flush()")
        if LINUX:
            assert swap.late() == []
        other.does("f.close()")
        found = wait_until(swap.late)
    assert [(late.path, late.text, late.was) for late in found] == [("a.md", "one\nlate\n", digest_of("one\n"))]
    swap.settle(found[0])
    wait_until(lambda: swap.late() == [] and not kept(root))


@pytest.mark.skipif(not LINUX, reason="only Linux says whether somebody is writing")
def test_a_file_that_is_just_being_rewritten_is_not_taken_for_an_empty_one(root: Path, swap: Swap) -> None:
    swap.write("a.md", "one\n", None)
    with actor() as other:
        other.does(f"f = open({str(root / 'a.md')!r}, 'w')")
        assert swap.write("a.md", "two\n", digest_of("one\n")).displaced is None
        other.does("f.write('person\\n'); f.close()")
    assert [late.text for late in wait_until(swap.late)] == ["person\n"]


def test_a_late_edit_survives_our_death(root: Path) -> None:
    swap = Swap(root)
    swap.write("a.md", "one\n", None)
    file = (root / "a.md").open("a")
    swap.write("a.md", "two\n", digest_of("one\n"))
    file.write("late\n")
    file.close()
    assert [late.text for late in Swap(root).late()] == ["one\nlate\n"]


def test_bytes_that_came_in_between_go_back_where_they_were(root: Path, way: str) -> None:
    swap = Swap(root)
    (root / "a.md").write_bytes(b"\xff\xfe")
    with pytest.raises(Unreadable):
        swap.write("a.md", "ours", digest_of("known"))
    assert (root / "a.md").read_bytes() == b"\xff\xfe"
    with pytest.raises(Unreadable):
        swap.remove("a.md", digest_of("known"))
    assert (root / "a.md").read_bytes() == b"\xff\xfe"
    assert Swap(root).late() == [] and not kept(root)


def test_a_link_is_neither_followed_nor_replaced(
    root: Path, swap: Swap, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.md"
    outside.write_text("mine")
    (root / "a.md").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    for path in ("a.md", "folder/x.md"):
        with pytest.raises(Unreadable):
            swap.write(path, "x", None)
    with pytest.raises(Unreadable):
        swap.remove("a.md", "")
    with pytest.raises(Unreadable):
        swap.append("a.md", "x", files.stat_of(outside.stat()))
    assert outside.read_text() == "mine" and (root / "a.md").is_symlink()


def test_permissions_stay(root: Path, swap: Swap) -> None:
    (root / "a.md").write_text("x")
    (root / "a.md").chmod(0o640)
    swap.write("a.md", "y", digest_of("x"))
    assert stat.S_IMODE((root / "a.md").stat().st_mode) == 0o640


def test_a_file_is_removed(root: Path, way: str) -> None:
    swap = Swap(root)
    swap.write("a.md", "one", None)
    assert swap.remove("a.md", digest_of("one")) is None
    assert not (root / "a.md").exists()
    with pytest.raises(Unavailable):
        swap.remove("a.md", digest_of("one"))
    (root / "a.md").write_text("an edit nobody read")
    late = swap.remove("a.md", digest_of("one"))
    assert late and late.text == "an edit nobody read" and not (root / "a.md").exists()


def test_text_is_appended_to_a_file_as_expected_and_to_no_other(root: Path, swap: Swap) -> None:
    before = swap.write("a.md", "one\n", None).stat
    after = swap.append("a.md", "two\n", before)
    assert after and not after.disturbed and text_of(root) == "one\ntwo\n"
    assert after.stat == files.look(root, "a.md") and after.stat.inode == before.inode
    assert swap.append("a.md", "x", before) is None
    assert swap.append("b.md", "x", before) is None
    assert text_of(root) == "one\ntwo\n"


def test_what_is_appended_counts_as_unread_until_it_is_read(root: Path, swap: Swap) -> None:
    written = swap.write("a.md", "one\n", None).stat
    if not swap.unread_since_write("a.md", written):
        pytest.skip("this file system does not say when a file was read")
    text_of(root)
    appended = swap.append("a.md", "two\n", written)
    assert appended and swap.unread_since_write("a.md", appended.stat)
    text_of(root)
    assert not swap.unread_since_write("a.md", appended.stat)


def test_text_that_cannot_be_written_is_refused_before_anything_happens(root: Path, swap: Swap) -> None:
    with pytest.raises(InvalidInput):
        swap.write("a.md", "\ud800", None)
    with pytest.raises(TooLarge):
        swap.write("a.md", "x" * (files.MAX_FILE_BYTES + 1), None)
    with pytest.raises(VaultError):
        swap.write("../a.md", "x", None)
    assert not (root / "a.md").exists()


def test_edits_found_after_a_crash_come_in_the_order_in_which_they_were_made(root: Path) -> None:
    swap = Swap(root)
    for number in range(12):
        (root / "a.md").write_text(f"edit {number}")
        os.utime(root / "a.md", ns=(10**18 + number,) * 2)
        swap.write("a.md", f"ours {number}", digest_of("known"))
    assert [late.text for late in Swap(root).late()] == [f"edit {number}" for number in range(12)]


def test_a_name_too_long_for_its_note_still_comes_back(root: Path) -> None:
    path = f"{'d' * 100}/{'ü' * 100}/x%2F.md"
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text("edit")
    assert Swap(root).write(path, "ours", digest_of("known")).displaced
    assert [(late.path, late.text) for late in Swap(root).late()] == [(path, "edit")]


def test_a_full_disk_leaves_the_file_as_it_was(root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (disk / ".hivemind").mkdir()
        swap = Swap(disk)
        before = swap.write("a.md", "one\n", None).stat
        with pytest.raises(DiskFull):
            swap.write("a.md", "x" * 300_000, digest_of("one\n"))
        with pytest.raises(DiskFull):
            swap.append("a.md", "x" * 300_000, before)
        assert (disk / "a.md").read_text() == "one\n"
        (disk / "filler").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
        assert not swap.unread_since_write("a.md", before)
        assert kept(disk) == []
        (disk / "filler").unlink()
        assert swap.write("a.md", "two\n", digest_of("one\n")).displaced is None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_on_another_file_system_keeps_its_replaced_files_itself(root: Path) -> None:
    disk = root / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        swap = Swap(root)
        swap.write("disk/a.md", "one\n", None)
        (disk / "a.md").write_text("edit\n")
        late = swap.write("disk/a.md", "two\n", digest_of("one\n")).displaced
        assert late and late.text == "edit\n" and text_of(root, "disk/a.md") == "two\n"
        assert Swap(root).late() == [late]
        swap.settle(late)
        wait_until(lambda: swap.late() == [] and not os.listdir(disk / ".hivemind-swap"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_vault_that_vanished_is_said_so(root: Path, swap: Swap) -> None:
    (root / ".hivemind").rmdir()
    assert swap.late() == []
    with pytest.raises(VaultError):
        swap.write("a.md", "x", None)
    root.rmdir()
    with pytest.raises(VaultError, match="vanished"):
        swap.write("a.md", "x", None)


_SWAPPER = """
import sys
from pathlib import Path
sys.path.insert(0, ".")
from hiveminddb.vault.files import digest_of
from hiveminddb.vault.swap import Swap
root = Path(sys.argv[1])
swap = Swap(root)
late = swap.late()
assert not late, late
known = (root / "a.md").read_text()
assert known == "x" * len(known) and len(known) % 50000 == 0
print("going", flush=True)
for n in range(1, 1000):
    text = "x" * 50000 * (n % 7 + 1)
    assert swap.write("a.md", text, digest_of(known)).displaced is None
    known = text
"""


def test_killed_at_any_moment_the_file_is_whole_and_nothing_foreign_is_found(root: Path) -> None:
    (root / "a.md").write_text("x" * 50000)
    for n in range(12):
        command = [sys.executable, "-c", _SWAPPER, str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY) as process:
            assert process.stdout and process.stderr
            assert process.stdout.readline() == b"going\n", process.stderr.read().decode()
            # Not a wait for anything: another moment to die at, each time.
            time.sleep(0.003 * n)
            process.kill()
        text = text_of(root)
        assert text and set(text) == {"x"} and len(text) % 50000 == 0

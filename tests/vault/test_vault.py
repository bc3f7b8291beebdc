"""What is in the vault, and when its emptiness is not believed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hiveminddb.errors import VaultError
from hiveminddb.vault import files
from hiveminddb.vault.guard import deleted_in_bulk, found_vault, marker_of
from hiveminddb.vault.vault import Vault


def filled(root: Path, count: int) -> tuple[Vault, list[str]]:
    """A vault that a daemon has seen with this many files, and a new daemon to open it."""
    vault = Vault(root)
    vault.scan([])
    for n in range(count):
        (root / f"f{n}.md").write_text(str(n))
    return Vault(root, vault.identity), sorted(vault.scan([]))


def test_the_folder_is_made_at_first_use(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "new" / "vault")
    assert vault.scan([]) == {} and not vault.stopped
    assert vault.identity and marker_of(tmp_path / "new" / "vault") == vault.identity
    again = Vault(tmp_path / "new" / "vault")
    again.scan([])
    assert again.identity == vault.identity


def test_a_folder_with_files_becomes_a_vault_and_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "b c.md").write_text("y")
    vault = Vault(tmp_path)
    assert vault.scan([]) == {
        "a": files.look(tmp_path, "a.md"),
        "projects/b c": files.look(tmp_path, "projects/b c.md"),
    }


def test_what_is_no_topic_file_is_left_out_and_named_where_somebody_might_wonder(tmp_path: Path) -> None:
    for name in (".obsidian/x.md", ".trash/y.md", "a.txt", "b.md~", ".c.md.swp", "4913", "folder.md/z.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.md").symlink_to("a.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "line\nfeed.md").write_text("x")
    (tmp_path / os.fsdecode(b"\xff.md")).write_text("x")
    with (tmp_path / "huge.md").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    vault = Vault(tmp_path)
    assert sorted(vault.scan([])) == ["folder.md/z"]
    assert sorted(vault.refused) == ["\\xff.md", "huge.md", "line\nfeed.md", "link.md", "loop", "pipe.md"]


def test_a_vanished_folder_is_no_deletion(tmp_path: Path) -> None:
    vault, known = filled(tmp_path / "v", 3)
    shutil.rmtree(tmp_path / "v")
    assert vault.scan(known) == {} and "vanished" in vault.stopped
    assert not (tmp_path / "v").exists()


def test_an_empty_folder_where_files_were_is_no_deletion(tmp_path: Path) -> None:
    vault, known = filled(tmp_path / "v", 3)
    shutil.rmtree(tmp_path / "v")
    (tmp_path / "v").mkdir()
    assert vault.scan(known) == {} and "marker" in vault.stopped
    assert os.listdir(tmp_path / "v") == []


def test_another_vault_in_the_place_is_no_deletion(tmp_path: Path) -> None:
    vault, known = filled(tmp_path / "v", 3)
    shutil.rmtree(tmp_path / "v")
    filled(tmp_path / "v", 9)
    vault.scan(known)
    assert "another vault" in vault.stopped


def test_another_vault_is_taken_for_good_while_no_file_is_known(tmp_path: Path) -> None:
    first, _ = filled(tmp_path / "v", 0)
    shutil.rmtree(tmp_path / "v")
    second, known = filled(tmp_path / "v", 3)
    first.scan([])
    assert sorted(first.scan(known)) == known and not first.stopped
    assert first.identity == second.identity


def test_a_folder_that_comes_back_goes_on_by_itself(tmp_path: Path) -> None:
    vault, known = filled(tmp_path / "v", 3)
    (tmp_path / "v").rename(tmp_path / "w")
    vault.scan(known)
    assert vault.stopped
    (tmp_path / "w").rename(tmp_path / "v")
    assert sorted(vault.scan(known)) == known and not vault.stopped


@pytest.mark.parametrize("choice", ["accept_deletions", "restore_files", "recreate"])
def test_the_owner_decides(tmp_path: Path, choice: str) -> None:
    vault, known = filled(tmp_path / "v", 3)
    shutil.rmtree(tmp_path / "v")
    vault.scan(known)
    vault.resolve(choice)  # type: ignore[arg-type]
    assert vault.scan(known) == {} and not vault.stopped
    assert marker_of(tmp_path / "v") == vault.identity


def test_a_folder_that_cannot_be_one_stops_the_mirror_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    vault = Vault(tmp_path / "file")
    assert vault.scan([]) == {} and "cannot be used" in vault.stopped
    with pytest.raises(VaultError):
        vault.resolve("recreate")


def test_many_files_gone_at_the_start_stop_the_mirror(tmp_path: Path) -> None:
    vault, known = filled(tmp_path, 20)
    for n in range(11):
        (tmp_path / f"f{n}.md").unlink()
    assert vault.scan(known) == {} and vault.stopped == "11 of 20 files were removed while no daemon was watching"
    vault.resolve("accept_deletions")
    assert len(vault.scan(known)) == 9 and not vault.stopped


def test_what_the_mirror_was_removing_itself_is_not_missed(tmp_path: Path) -> None:
    vault, known = filled(tmp_path, 20)
    for n in range(11):
        (tmp_path / f"f{n}.md").unlink()
    assert len(vault.scan(known, going=[f"f{n}" for n in range(11)])) == 9 and not vault.stopped


def test_many_files_gone_under_our_eyes_are_meant(tmp_path: Path) -> None:
    vault, known = filled(tmp_path, 20)
    vault.scan(known)
    for n in range(20):
        (tmp_path / f"f{n}.md").unlink()
    assert vault.scan(known) == {} and not vault.stopped


def test_a_renamed_folder_is_no_mass_deletion(tmp_path: Path) -> None:
    vault, known = filled(tmp_path, 20)
    (tmp_path / "old").mkdir()
    for n in range(20):
        (tmp_path / f"f{n}.md").rename(tmp_path / "old" / f"f{n}.md")
    assert len(vault.scan(known)) == 20 and not vault.stopped


def test_a_disk_inside_the_vault_that_is_gone_is_no_deletion(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "disk")], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    (tmp_path / "disk" / "a.md").write_text("x")
    vault = Vault(tmp_path)
    known = list(vault.scan([]))
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)
    assert known == ["disk/a"]
    assert vault.scan(known) == {} and "not mounted" in vault.stopped


@pytest.mark.parametrize(
    ("known", "gone", "new", "bulk"),
    [
        (0, 0, 0, False), (1, 1, 0, False), (2, 2, 0, False), (3, 3, 0, True), (3, 2, 0, False), (18, 9, 0, False),
        (19, 10, 0, True), (20, 10, 0, False), (20, 11, 0, True), (20, 11, 2, False), (1000, 500, 0, False),
        (1000, 501, 0, True), (9, 8, 0, False), (9, 9, 0, True), (9, 9, 9, False),
    ],
)  # fmt: skip
def test_bulk_is_more_than_half_and_ten_or_all_of_three(known: int, gone: int, new: int, bulk: bool) -> None:
    assert deleted_in_bulk(known, gone, new) is bulk


def test_a_vault_in_a_repository_leaves_it_clean(tmp_path: Path) -> None:
    found_vault(tmp_path)
    assert (tmp_path / ".hivemind" / ".gitignore").read_text() == "*\n"

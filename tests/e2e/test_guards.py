"""When files are missing and nobody wished it: the mirror stops and asks, and does what the owner answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hiveminddb import HiveMind
from tests.cli.place import Place
from tests.waiting import wait_until


def filled(place: Place, mind: HiveMind, count: int = 12) -> dict[str, bytes]:
    """Topics with a file each; their bytes."""
    for n in range(count):
        mind.add(f"memory {n}.", topic=f"topic {n}")
    wait_until(lambda: len(list(place.vault.glob("*.md"))) == count and not mind.status().pending.mirror)
    return files(place.vault)


def files(vault: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in vault.glob("*.md")}


def state(mind: HiveMind) -> str:
    return mind.status().vault.state


def stopped(mind: HiveMind) -> None:
    """Waits until the mirror has stopped; nothing is forgotten, and memories are added all the same."""
    wait_until(lambda: state(mind) == "stopped")
    status = mind.status()
    assert status.vault.reason
    assert status.invalidated == 0
    mind.add("added while it was stopped", topic="meanwhile")


def test_a_vault_that_vanishes_and_comes_back_is_not_taken_for_a_wish(place: Place, mind: HiveMind) -> None:
    before = filled(place, mind)
    place.vault.rename(place.folder / "away")
    stopped(mind)
    (place.folder / "away").rename(place.vault)
    mind.resolve_vault("restore_files")
    wait_until(lambda: state(mind) == "mirrored" and "meanwhile.md" in files(place.vault))
    assert {name: data for name, data in files(place.vault).items() if name in before} == before


def test_a_vanished_vault_is_made_anew_when_asked(place: Place, mind: HiveMind) -> None:
    before = filled(place, mind)
    shutil.rmtree(place.vault)
    wait_until(lambda: state(mind) == "stopped" or mind.status().invalidated)
    if mind.status().invalidated:
        pytest.skip("files went one by one before their folder: that looks like a wish")
    stopped(mind)
    mind.resolve_vault("recreate")
    wait_until(lambda: before.keys() < files(place.vault).keys())
    assert {name: data for name, data in files(place.vault).items() if name in before} == before
    assert mind.status().invalidated == 0


def test_a_folder_without_its_marker_at_the_start_is_another_disk(place: Place, mind: HiveMind) -> None:
    before = filled(place, mind)
    place.hmd("down")
    place.vault.rename(place.folder / "disk")
    place.vault.mkdir()
    place.hmd("up")
    stopped(mind)
    assert files(place.vault) == {}
    place.hmd("down")
    shutil.rmtree(place.vault)
    (place.folder / "disk").rename(place.vault)
    place.hmd("up")
    wait_until(lambda: state(mind) == "mirrored" and "meanwhile.md" in files(place.vault))
    assert {name: data for name, data in files(place.vault).items() if name in before} == before


@pytest.mark.parametrize("accept", [True, False])
def test_most_files_gone_at_the_start_are_asked_about(place: Place, mind: HiveMind, accept: bool) -> None:
    before = filled(place, mind)
    place.hmd("down")
    for n in range(11):
        (place.vault / f"topic-{n}.md").unlink()
    place.hmd("up")
    stopped(mind)
    assert len(files(place.vault)) == 1
    mind.resolve_vault("accept_deletions" if accept else "restore_files")
    if accept:
        wait_until(lambda: mind.status().invalidated == 11)
    else:
        wait_until(lambda: {k: v for k, v in files(place.vault).items() if k in before} == before)
        assert mind.status().invalidated == 0
    wait_until(lambda: "meanwhile.md" in files(place.vault))


def test_a_few_files_gone_at_the_start_are_meant(place: Place, mind: HiveMind) -> None:
    filled(place, mind)
    place.hmd("down")
    for n in range(3):
        (place.vault / f"topic-{n}.md").unlink()
    place.hmd("up")
    wait_until(lambda: mind.status().invalidated == 3)
    assert state(mind) == "mirrored"

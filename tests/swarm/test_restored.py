"""A machine's data is brought back from a backup: what was written since, here and elsewhere, is there in the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

import pytest

from bench.lab.machine import Machine
from bench.lab.swarm import form, start
from tests.swarm.said import add, assert_same, contents

Swarm = Callable[[int], Sequence[Machine]]


@pytest.mark.parametrize("what", ["data", "data and vault"])
def test_a_machine_whose_data_is_brought_back_from_a_backup_loses_nothing_written_since(
    loners: Swarm, what: str
) -> None:
    one, two = loners(2)
    form([one, two])
    add(one, "before")
    assert_same([one, two])
    one.stop()
    backup = one.folder / "backup"
    for folder in (one.data, one.vault):
        shutil.copytree(folder, backup / folder.name)
    start([one])
    since = [f"since {number}" for number in range(5)]
    for content in since:
        add(one, content)
    assert_same([one, two])
    one.stop()
    two.stop()
    for folder in (one.data, one.vault) if what == "data and vault" else (one.data,):
        shutil.rmtree(folder)
        shutil.copytree(backup / folder.name, folder)
    start([one])
    for number in range(7):
        add(one, f"by the old copy {number}", ack="local")
    (one.vault / "by hand.md").write_text("# By hand\n\n## 2026-01-02 10:00\n\nwritten meanwhile\n")
    start([two])
    assert_same([one, two])
    assert contents(two, "by hand") == ["written meanwhile"]
    expected = {"before", *since, *(f"by the old copy {number}" for number in range(7))}
    assert set(contents(two)) == set(contents(one)) == expected
    if what == "data and vault":
        # Else entries that the newer files still had are memories of their own beside those that come from the others.
        assert len(contents(one)) == len(expected)
    add(one, "later")
    assert_same([one, two])

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.mirror import renaming
from hiveminddb.vault import files, held
from tests.daemon.wandering import life

# The last ones lost or doubled words once.
SEEDS = [1, 2, 3, 5, 33, 57]


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "GRACE", 0.0)
    # A round of all there is ends the waiting for a new name.
    monkeypatch.setattr(renaming, "PATIENCE", float("inf"))
    monkeypatch.setattr(files, "EMPTIED_PATIENCE", 0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_people_do_with_files_and_mirrors_see_of_it_all_nodes_end_the_same(tmp_path: Path, seed: int) -> None:
    found, ledger = life(tmp_path, seed, nodes=3, steps=500)
    assert not found, "\n".join([*found, *ledger.journal])


@pytest.mark.parametrize("seed", [1, 2])
def test_so_they_do_when_callers_of_the_api_change_and_move_the_same_memories(tmp_path: Path, seed: int) -> None:
    found, ledger = life(tmp_path, seed, nodes=3, steps=700, api=True)
    assert not found, "\n".join([*found, *ledger.journal])


@pytest.mark.parametrize("seed", [3, 8])
def test_so_they_do_when_mirrors_are_dead_or_cut_off_for_long(tmp_path: Path, seed: int) -> None:
    found, ledger = life(tmp_path, seed, nodes=3, steps=700, apart=True)
    assert not found, "\n".join([*found, *ledger.journal])


@pytest.mark.parametrize("seed", [53, 164])
def test_so_they_do_when_names_are_used_again_and_again(tmp_path: Path, seed: int) -> None:
    found, ledger = life(tmp_path, seed, nodes=3, steps=700, apart=True, moving=True)
    assert not found, "\n".join([*found, *ledger.journal])

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.mirror import renaming
from hiveminddb.vault import files, held
from tests.daemon.interleaved import life

SEEDS = range(1, 10)


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "GRACE", 0.0)
    monkeypatch.setattr(renaming, "PATIENCE", 0.0)
    monkeypatch.setattr(files, "EMPTIED_PATIENCE", 0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_comes_in_between_nothing_is_lost_doubled_or_left_apart(tmp_path: Path, seed: int) -> None:
    found, ledger = life(tmp_path, seed)
    assert not found, "\n".join([*found, *ledger.journal])

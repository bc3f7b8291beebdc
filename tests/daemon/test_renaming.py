from __future__ import annotations

from types import SimpleNamespace

import pytest

from hiveminddb.daemon.mirror.renaming import PATIENCE, Renaming
from hiveminddb.daemon.mirror.settling import Look
from tests.daemon.island import islands


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("hiveminddb.daemon.mirror.renaming.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_file_that_vanished_waits_to_be_told_from_a_renamed_one(clock: list[float]) -> None:
    with islands("a") as (it,):
        sorting = Renaming(it.settler)
        gone = [Look("notes")]
        assert it.write(lambda tx: sorting.sort_out(gone, tx)) == ([], ["notes"])
        assert sorting.overdue(["notes"]) == []
        clock[0] += PATIENCE
        assert it.write(lambda tx: sorting.sort_out(gone, tx)) == ([], ["notes"]), "nobody has looked for it yet"
        assert sorting.overdue(["notes"]) == ["notes"]
        assert it.write(lambda tx: sorting.sort_out(gone, tx)) == (gone, [])


def test_a_file_that_vanishes_again_after_somebody_was_writing_to_it_waits_again(clock: list[float]) -> None:
    with islands("a") as (it,):
        sorting = Renaming(it.settler)
        gone = [Look("notes")]
        assert it.write(lambda tx: sorting.sort_out(gone, tx)) == ([], ["notes"])
        sorting.there(["notes"])
        clock[0] += PATIENCE
        assert sorting.overdue(["notes"]) == []
        assert it.write(lambda tx: sorting.sort_out(gone, tx)) == ([], ["notes"])

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from hiveminddb.daemon.origin import begin
from hiveminddb.model import NodeId
from hiveminddb.store.birthmark import birthmark
from hiveminddb.store.transaction import Transaction
from tests.daemon.island import Island

ME, OTHER = NodeId("a" * 20), NodeId("b" * 20)


@pytest.fixture
def island(tmp_path: Path) -> Island:
    return Island(ME, tmp_path)


def origin_of(island: Island, file: str) -> str:
    def work(tx: Transaction) -> str:
        return begin(tx, ME, file)

    return island.write(work)


def test_a_node_makes_its_changes_under_its_own_id(island: Island) -> None:
    assert origin_of(island, "1") == ME
    island.add("notes", "something")
    assert origin_of(island, "1") == ME


def test_a_copy_of_a_database_begins_an_origin_of_its_own_and_keeps_it(island: Island) -> None:
    origin_of(island, "1")
    island.add("notes", "something")
    fresh = origin_of(island, "2")
    assert fresh != ME and re.fullmatch("[a-z2-7]{20}", fresh)
    island.pipeline.origin = NodeId(fresh)
    island.add("notes", "more")
    assert origin_of(island, "2") == fresh
    assert origin_of(island, "1") not in (ME, fresh)


def test_a_copy_from_before_the_first_change_begins_an_origin_of_its_own_too(island: Island) -> None:
    origin_of(island, "1")
    assert origin_of(island, "2") != ME


def test_a_node_with_another_key_goes_on_under_an_origin_of_its_own(island: Island) -> None:
    assert origin_of(island, "1") == ME
    fresh = island.write(lambda tx: begin(tx, OTHER, "1"))
    assert fresh not in (ME, OTHER)
    assert island.write(lambda tx: begin(tx, OTHER, "1")) == fresh


def test_a_database_of_which_nothing_is_known_keeps_its_origin(island: Island) -> None:
    island.add("notes", "something")
    assert origin_of(island, "") == ME
    assert origin_of(island, "3") == ME


def test_a_file_keeps_its_mark_when_it_is_written_or_renamed_and_a_copy_has_another(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    if not (mark := birthmark(file)):
        pytest.skip("the file system does not say when a file was made")
    file.write_text("longer")
    assert birthmark(file.rename(tmp_path / "renamed")) == mark
    shutil.copy2(tmp_path / "renamed", file)
    assert birthmark(file) != mark
    file.unlink()
    shutil.copy2(tmp_path / "renamed", file)
    assert birthmark(file) not in ("", mark)

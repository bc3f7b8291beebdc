from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.errors import Corrupt
from hiveminddb.sync.identity import load_or_create, node_id


def test_a_node_keeps_its_id_and_its_key_is_private(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    first = node_id(load_or_create(path))
    assert node_id(load_or_create(path)) == first
    assert len(first) == 20
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_named_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(b"short")
    with pytest.raises(Corrupt, match=r"node\.key has 5 bytes"):
        load_or_create(path)
    assert path.read_bytes() == b"short"

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.vault.swap import Swap


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".hivemind").mkdir()
    return tmp_path


@pytest.fixture
def swap(root: Path) -> Swap:
    return Swap(root)

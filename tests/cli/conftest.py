from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own in which no daemon runs yet."""
    made = Place(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A home with a daemon that serves a whole module."""
    made = Place(tmp_path_factory.mktemp("home"))
    made.hmd("up")
    yield made
    made.end()

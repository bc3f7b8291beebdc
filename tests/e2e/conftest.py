from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hiveminddb import HiveMind
from tests.cli.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine of its own with a daemon that runs."""
    made = Place(tmp_path)
    made.hmd("up")
    yield made
    made.end()


@pytest.fixture
def mind(place: Place) -> Iterator[HiveMind]:
    """A client of that machine's daemon; it finds the daemon again after a restart."""
    with place.mind() as made:
        yield made

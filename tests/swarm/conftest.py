from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.lab.lab import Lab, lab
from bench.lab.lan import why_no_lan
from bench.lab.machine import Machine
from bench.lab.swarm import start

Swarm = Callable[[int], Sequence[Machine]]


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Callable[[int], Lab]]:
    """Makes a LAN of so many machines; skips where the system does not permit that."""
    if reason := why_no_lan():
        pytest.skip(reason)
    with ExitStack() as stack:
        yield lambda machines: stack.enter_context(lab(machines, tmp_path))


@pytest.fixture
def loners(laboratory: Callable[[int], Lab]) -> Swarm:
    """So many machines with a daemon that knows of no other."""

    def made(machines: int) -> Sequence[Machine]:
        found = laboratory(machines).machines
        start(found)
        return found

    return made

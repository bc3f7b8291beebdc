"""The power goes while everybody writes: what was not synchronised is lost, what was acknowledged is not."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.disk import Disk, why_no_disk
from hiveminddb import HiveMind
from hiveminddb.errors import HiveMindError
from hiveminddb.model import Memory
from tests.cli.place import Place
from tests.waiting import wait_until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if reason := why_no_disk(tmp_path):
        pytest.skip(reason)
    made = Disk(tmp_path / "disk.img", tmp_path / "disk", 512)
    yield made
    made.close()


@pytest.fixture
def powered(disk: Disk) -> Iterator[Place]:
    """A machine with a daemon, all on one disk."""
    made = Place(disk.folder)
    made.hmd("up")
    yield made
    made.end()


def at_rest(pid: int) -> bool:
    """Whether no thread of a stopped process is still inside a call."""
    states = (task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").glob("*/stat"))
    return all(state == "T" for state in states)


def cut_power(place: Place, disk: Disk) -> None:
    pid = json.loads((place.data / "daemon.json").read_bytes())["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: at_rest(pid))
    left = disk.picture()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}/exe").exists())
    disk.back_to(left)


def write_until_it_dies(place: Place, writer: int, acknowledged: dict[str, str]) -> None:
    """Adds memories and appends to some of them; what was acknowledged is noted as it was then."""
    with place.mind() as mind:
        for number in range(100_000):
            try:
                memory = mind.add(f"writer {writer} memory {number}.", topic=f"power {writer}")
                acknowledged[memory.id] = memory.content
                if number % 3 == 0:
                    acknowledged[memory.id] = mind.update(memory.id, append="And more.").content
            except HiveMindError:
                return


def everything(mind: HiveMind) -> dict[str, Memory]:
    return {memory.id: memory for memory in mind.each(include_invalidated=True)}


def test_what_was_acknowledged_is_there_after_a_power_cut_and_nothing_else_has_changed(
    disk: Disk, powered: Place
) -> None:
    acknowledged: dict[str, str] = {}
    for turn in range(3):
        threads = [
            threading.Thread(target=write_until_it_dies, args=(powered, 10 * turn + writer, acknowledged))
            for writer in range(3)
        ]
        for thread in threads:
            thread.start()
        goal = len(acknowledged) + 100
        wait_until(lambda goal=goal: len(acknowledged) > goal)  # type: ignore[misc]
        cut_power(powered, disk)
        for thread in threads:
            thread.join()
        powered.hmd("up")
    with powered.mind() as mind:
        wait_until(lambda: mind.status().pending.mirror == 0)
        there = everything(mind)
        # Only the last words of each writer may be there without having been acknowledged.
        assert sum(there[id].content != content for id, content in acknowledged.items()) <= 9
        assert all(there[id].content.startswith(content) for id, content in acknowledged.items())
        assert not [memory for memory in there.values() if memory.invalidated_at]
        for path in powered.vault.glob("*.md"):
            assert path.read_text() == mind.topic(path.stem).text
        assert {topic.file for topic in mind.topics()} == {path.name for path in powered.vault.glob("*.md")}
    assert powered.hmd("doctor").code == 0


def test_a_file_that_the_power_cut_left_empty_or_half_written_removes_nothing(disk: Disk, powered: Place) -> None:
    """Files are written again and again by the daemon while the power goes: no torn one is taken for an edit."""
    with powered.mind() as mind:
        ids = [mind.add(f"entry {n}, " + "word " * 200, topic=f"file {n % 5}").id for n in range(50)]
    for turn in range(3):
        with powered.mind() as mind:
            for id in ids:
                mind.update(id, append=f"turn {turn}")
        cut_power(powered, disk)
        powered.hmd("up")
    with powered.mind() as mind:
        wait_until(lambda: mind.status().pending.mirror == 0)
        there = everything(mind)
        assert {id: there[id].content.count("turn ") for id in ids} == dict.fromkeys(ids, 3)
        assert len(there) == len(ids) and not any(memory.invalidated_at for memory in there.values())

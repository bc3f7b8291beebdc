"""The lab keeps what it promises: what is cut is cut, what is late is late, and a clock is as wrong as it was set."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.lab.disk import Disk, why_no_disk
from bench.lab.lab import Lab
from bench.lab.lan import connected
from bench.lab.wallclock import WallClock, why_no_wall_clock
from bench.lab.wire import Way
from bench.netns import Host

PORT = 7000


def hears(listener: Host, caller: Host, seconds: float = 0.3) -> bool:
    """Whether a datagram arrives; late ones of earlier calls do not count."""
    word = os.urandom(8)
    with listener.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("", PORT))
        ear.settimeout(seconds)
        with caller.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            for _ in range(2):
                mouth.sendto(word, (listener.address, PORT))
        try:
            while ear.recv(16) != word:
                pass
        except TimeoutError:
            return False
        return True


def test_hosts_hear_those_on_their_side_and_those_that_are_not_silenced(laboratory: Callable[[int], Lab]) -> None:
    lan = laboratory(3).lan
    one, two, three = lan.hosts
    assert hears(one, two) and hears(two, one) and hears(three, one)
    lan.partition([one, two], [three])
    assert hears(one, two) and not hears(three, one) and not hears(two, three)
    lan.partition([one, two])
    assert hears(two, one) and not hears(three, two) and not hears(one, three)
    lan.heal()
    assert hears(three, one)
    lan.silence(one, [two])
    assert not hears(two, one) and hears(one, two) and hears(three, one)
    lan.heal()
    two.move("10.77.0.50")
    assert hears(two, one) and hears(one, two)


def test_a_slow_way_takes_its_time_and_a_lossy_one_loses(laboratory: Callable[[int], Lab]) -> None:
    lan = laboratory(2).lan
    one, two = lan.hosts
    assert hears(two, one)
    lan.disturb(one, Way(delay=0.1))
    with two.inside():
        server = socket.create_server((two.address, PORT))
    start = time.monotonic()
    connected(one, (two.address, PORT), 10).close()
    server.close()
    assert time.monotonic() - start >= 0.1
    lan.disturb(one, Way(loss=1.0))
    assert not hears(two, one)


def test_a_disk_keeps_what_was_synchronised_and_can_be_full(tmp_path: Path) -> None:
    if reason := why_no_disk(tmp_path):
        pytest.skip(reason)
    disk = Disk(tmp_path / "image", tmp_path / "disk", 16)
    try:
        with (disk.folder / "kept").open("w") as file:
            file.write("kept")
            file.flush()
            os.fsync(file.fileno())
        (disk.folder / "lost").write_text("lost")
        disk.back_to(disk.picture())
        assert (disk.folder / "kept").read_text() == "kept" and not (disk.folder / "lost").exists()
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "more").write_text("more")
        disk.relieve()
        (disk.folder / "more").write_text("more")
    finally:
        disk.close()


def test_a_wall_clock_is_wrong_by_what_was_set_and_no_other_clock_is(tmp_path: Path) -> None:
    if reason := why_no_wall_clock():
        pytest.skip(reason)
    clock = WallClock(tmp_path)
    clock.set(-86400)
    tell = "import time; print(time.time(), time.monotonic())"
    told = subprocess.run([sys.executable, "-c", tell], env={**os.environ, **clock.environment}, capture_output=True)
    wall, monotonic = map(float, told.stdout.split())
    assert -86500 < wall - time.time() < -86300
    assert abs(monotonic - time.monotonic()) < 60

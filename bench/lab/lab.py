"""A lab: machines on one LAN, each with a disk and a clock of its own where the system permits it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.lab.disk import Disk, why_no_disk
from bench.lab.lan import Lan, why_no_lan
from bench.lab.machine import Machine
from bench.lab.wallclock import WallClock, why_no_wall_clock

WITHOUT_MODEL = {"HIVEMIND_EMBEDDING_MODEL": "none"}
DISK_MEGABYTES = 1024


@dataclass(frozen=True, slots=True)
class Lab:
    """Everything that is made is removed in the end, except a folder that shall be kept."""

    folder: Path
    lan: Lan
    machines: tuple[Machine, ...]


@contextmanager
def lab(
    machines: int,
    folder: Path,
    seed: int = 0,
    settings: Mapping[str, str] = WITHOUT_MODEL,
    disks: bool = False,
    clocks: bool = False,
) -> Iterator[Lab]:
    """So many machines without a daemon. Raises Unavailable; disks and clocks must have been asked for before."""
    with ExitStack() as stack:
        lan = Lan(machines, seed)
        stack.enter_context(lan)
        made = []
        for host in lan.hosts:
            home = folder / host.name
            home.mkdir()
            machine = Machine(host, home, {"HIVEMIND_NAME": host.name, **settings})
            if disks:
                machine.disk = Disk(folder / f"{host.name}.img", machine.data, DISK_MEGABYTES)
                stack.callback(machine.disk.close)
            if clocks:
                (folder / f"{host.name}.clock").mkdir()
                machine.clock = WallClock(folder / f"{host.name}.clock")
            stack.callback(machine.kill)
            made.append(machine)
        yield Lab(folder, lan, tuple(made))


@contextmanager
def scratch(prefix: str, keep: list[bool]) -> Iterator[Path]:
    """A temporary folder, removed in the end unless something true has been put into `keep`."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        if not any(keep):
            shutil.rmtree(folder, ignore_errors=True)


def lacking(folder: Path) -> dict[str, str]:
    """What cannot be had here, and why."""
    reasons = {"lan": why_no_lan(), "disks": why_no_disk(folder), "clocks": why_no_wall_clock()}
    return {what: why for what, why in reasons.items() if why}


def keep_files(made: Lab) -> None:
    """Copies what is on the machines' disks to where it stays."""
    for machine in made.machines:
        if machine.disk is not None:
            with contextlib.suppress(OSError, shutil.Error):
                machine.disk.keep("data.kept")

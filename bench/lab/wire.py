"""An Ethernet switch in a process of its own: every way from one port to another has its own loss and delay.

Kernels differ in which packet schedulers they were built with; this works on all, and its dice can be seeded.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FRAME_BYTES = 65536
BATCH = 64
# Frames waiting on one way; more than a slow link would hold are dropped.
QUEUE = 2000


@dataclass(frozen=True, slots=True)
class Way:
    """How frames get from one port to another: the share that is lost, and seconds that each takes."""

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0


OPEN, CLOSED = Way(), Way(loss=1.0)
Ways = Mapping[tuple[int, int], Way]


def mac(port: int) -> str:
    """The hardware address that the switch expects at a port."""
    return f"02:00:00:00:{port >> 8:02x}:{port & 255:02x}"


class Wire:
    """The switch's process; ports are TAP descriptors, numbered as given."""

    def __init__(self, ports: Sequence[int], seed: int) -> None:
        command = [sys.executable, "-m", "bench.lab.wire", str(seed), *map(str, ports)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=ports)
        self.set({})

    def set(self, ways: Ways) -> None:
        """From now on these; a way that is not named is open."""
        told = [[source, to, way.loss, way.delay, way.jitter] for (source, to), way in ways.items()]
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError("the switch has ended")

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class _Switch:
    def __init__(self, seed: int, ports: list[int]) -> None:
        self._chance = random.Random(seed)
        self._ports = ports
        self._ways: dict[tuple[int, int], Way] = {}
        self._waiting: list[tuple[float, int, tuple[int, int], bytes]] = []
        self._queued: dict[tuple[int, int], int] = {}
        self._sent = 0

    def run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(0, selectors.EVENT_READ, None)
        for number, fd in enumerate(self._ports):
            selector.register(fd, selectors.EVENT_READ, number)
        while True:
            for key, _ in selector.select(self._until_due()):
                if key.data is not None:
                    self._receive(key.data)
                elif not self._told(sys.stdin.readline()):
                    return
            self._deliver_due()

    def _told(self, line: str) -> bool:
        if line:
            self._ways = {(source, to): Way(*rest) for source, to, *rest in json.loads(line)}
            print(flush=True)
        return bool(line)

    def _until_due(self) -> float | None:
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None

    def _receive(self, source: int) -> None:
        for _ in range(BATCH):
            try:
                frame = os.read(self._ports[source], FRAME_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # The interface is down: what comes from there comes later.
                return
            if frame[0] & 1:
                for to in range(len(self._ports)):
                    if to != source:
                        self._forward((source, to), frame)
            elif (to := frame[4] << 8 | frame[5]) < len(self._ports) and to != source:
                self._forward((source, to), frame)

    def _forward(self, ends: tuple[int, int], frame: bytes) -> None:
        way = self._ways.get(ends, OPEN)
        if way.loss and self._chance.random() < way.loss:
            return
        if not way.delay and not way.jitter:
            self._write(ends[1], frame)
        elif self._queued.get(ends, 0) < QUEUE:
            self._sent += 1
            due = time.monotonic() + way.delay + way.jitter * self._chance.random()
            self._queued[ends] = self._queued.get(ends, 0) + 1
            heapq.heappush(self._waiting, (due, self._sent, ends, frame))

    def _deliver_due(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, ends, frame = heapq.heappop(self._waiting)
            self._queued[ends] -= 1
            # What was on its way when the way was closed is lost, as in a pulled cable.
            if self._ways.get(ends, OPEN).loss < 1.0:
                self._write(ends[1], frame)

    def _write(self, port: int, frame: bytes) -> None:
        try:
            os.write(self._ports[port], frame)
        except OSError:
            # Full, or down: Ethernet loses such frames too.
            return


def _main(words: Sequence[str]) -> None:
    seed, *ports = map(int, words)
    _Switch(seed, ports).run()


if __name__ == "__main__":
    _main(sys.argv[1:])

"""A disk in memory that forgets at a power cut what was not synced, and can lose power in the middle of any call."""

from __future__ import annotations

import random


class PowerLost(Exception):
    pass


class Disk:
    """The storage of one voter. `cuts` counts down calls; at 0 the power goes, before or after the call took hold."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._synced: dict[str, bytes] = {}
        self._written: dict[str, bytes] = {}
        self.cuts: int | None = None

    @property
    def clean(self) -> bool:
        """Whether all that was written is synced."""
        return not any(self._written.values())

    def power_cut(self, kernel_survives: bool) -> None:
        """Of what was not synced all stays (only the process died), or some of it, torn, perhaps overwritten."""
        for name, data in self._written.items():
            self._synced[name] = self._synced.get(name, b"") + (data if kernel_survives else self._torn(data))
        self._written.clear()
        self.cuts = None

    def _torn(self, data: bytes) -> bytes:
        end = self._chance.randint(0, len(data))
        kept = bytearray(data[:end])
        if kept and self._chance.random() < 0.5:
            start = self._chance.randrange(len(kept))
            length = self._chance.randint(1, len(kept) - start)
            kept[start : start + length] = bytes(length)
        return bytes(kept)

    def read(self, name: str) -> bytes | None:
        synced = self._synced.get(name)
        return None if synced is None else synced + self._written.get(name, b"")

    def append(self, name: str, data: bytes) -> None:
        assert name in self._synced
        self._call()
        self._written[name] = self._written.get(name, b"") + data

    def sync(self, name: str) -> None:
        self._call()
        self._synced[name] += self._written.pop(name, b"")
        self._call()

    def truncate(self, name: str, size: int) -> None:
        self._call()
        whole = self.read(name)
        assert whole is not None
        self._synced[name] = whole[:size]
        self._written.pop(name, None)

    def replace(self, name: str, data: bytes) -> None:
        self._call()
        self._synced[name] = data
        self._written.pop(name, None)
        self._call()

    def remove(self, name: str) -> None:
        self._call()
        self._synced.pop(name, None)
        self._written.pop(name, None)
        self._call()

    def close(self) -> None: ...

    def _call(self) -> None:
        if self.cuts is not None:
            self.cuts -= 1
            if self.cuts < 0:
                raise PowerLost

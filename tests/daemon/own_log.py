"""A log of one, for tests: what is proposed is committed at once."""

from __future__ import annotations

from dataclasses import dataclass

from hiveminddb.daemon.swarm.machine import Machine


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the log."""

    index: int
    term: int
    command: bytes


class OwnLog:
    """What is proposed is committed; it is durable once the machine has taken it, before anyone is answered."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._last = machine.applied

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109 (Raft's own signature)
        """The index of the command."""
        self._last += 1
        self._machine.deliver([Step(self._last, self._machine.term, command)])
        return self._last

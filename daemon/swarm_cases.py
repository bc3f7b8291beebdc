"""What the API needs from the swarm: its use cases as Protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from hiveminddb.swarm import Introduction, Invite, Joined, Lease, Register, SwarmStatus

Ack = Literal["local", "auto", "quorum"]
Consistency = Literal["local", "linearizable"]


class SwarmCases(Protocol):
    """Membership; a node is named by its name, its id, or a unique prefix of four or more characters of the id."""

    async def status(self) -> SwarmStatus: ...

    async def invite(self) -> Invite:
        """A new code; it takes the place of one that is open. NoQuorum where nobody could be let in."""
        ...

    async def invited(self) -> Invite:
        """How the latest invite stands; NotFound where there has been none."""
        ...

    async def end_invite(self) -> None:
        """The code is worth nothing from now on; harmless where none is open."""
        ...

    async def look(self, code: str) -> Introduction:
        """Finds and proves the other side, and keeps the line for `join`, for a minute or two.

        InvalidInput for a code of the wrong form, NotFound where nobody answers to it, Forbidden for a wrong one,
        Conflict where this node has a swarm of several already.
        """
        ...

    async def join(self, agreed: bool) -> Joined | None:
        """Joins whom `look` found, or hangs up (None); Conflict where nobody waits for the answer."""
        ...

    async def leave(self) -> SwarmStatus:
        """This node becomes a swarm of one with all memories it has; the others are told where they can be."""
        ...

    async def recover(self) -> SwarmStatus:
        """Consensus is formed anew from this node; the survivors follow it. Conflict while there is quorum."""
        ...

    async def remove(self, node: str) -> SwarmStatus:
        """A node is refused from now on; its memories stay."""
        ...

    async def rename(self, name: str) -> SwarmStatus:
        """This node's name, as the others see it; Conflict where another has it."""
        ...

    async def barrier(self) -> None:
        """Returns once everything committed before the call can be read here; NoQuorum."""
        ...


class ClaimCases(Protocol):
    """What only consensus decides; without quorum every method but the reads raises NoQuorum at once."""

    async def lease(self, key: str, holder: str, ttl_s: float) -> Lease:
        """The key for this holder alone; Conflict while anyone holds it."""
        ...

    async def renew(self, key: str, token: int) -> Lease:
        """The time to live starts anew; Conflict where the lease has ended or is another's."""
        ...

    async def release(self, key: str, token: int) -> None:
        """Gives the key free; Conflict where the lease has ended or is another's."""
        ...

    async def leases(self) -> Sequence[Lease]: ...

    async def held(self, key: str) -> Lease:
        """Who holds a key; NotFound where nobody does."""
        ...

    async def register(self, key: str) -> Register:
        """NotFound where it was never set."""
        ...

    async def set_register(self, key: str, value: str, version: int | None, expected: str | None) -> Register:
        """Sets it if it has that version (0: none yet), or that value; else Conflict tells what it has."""
        ...

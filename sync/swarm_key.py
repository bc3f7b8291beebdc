"""The swarm key: one secret in the environment of several machines, by which they find and admit each other alone.

What is announced of it must not be worth anything to who listens: eight bits of a slow hash, enough to leave other
people's swarms alone. The key itself is proved as a code is, and wrong proofs are counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from hiveminddb.model import NodeId

# Wrong proofs taken at once, and the seconds after which there may be another one.
BURST = 5
REFILL_S = 10.0

_SALT = b"hivemind swarm key 1"
_PASSWORD_BYTES = 32
_TAG_BYTES = 1


class SwarmKey:
    """A door that stays open: wrong proofs are slowed down, never forgotten for good."""

    __slots__ = ("tag", "_clock", "_due", "_password")

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        length = _PASSWORD_BYTES + _TAG_BYTES
        derived = hashlib.scrypt(key.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=length)
        self.tag = derived[_PASSWORD_BYTES:].hex()
        self._password = b"swarm key " + derived[:_PASSWORD_BYTES]
        self._clock = clock
        self._due = clock()

    def password(self) -> bytes | None:
        """What both sides prove to know; None while too many have been wrong."""
        return self._password if self._due <= self._clock() + (BURST - 1) * REFILL_S else None

    def judge(self, guest: NodeId, right: bool) -> bool:
        """Whether a guest may come in, or a host be trusted; a wrong proof makes the next ones wait."""
        if self.password() is None:
            return False
        if not right:
            self._due = max(self._due, self._clock()) + REFILL_S
        return right

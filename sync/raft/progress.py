"""What the leader knows of one peer: what was sent and not yet answered, and when it last answered."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hiveminddb.sync.raft.snapshot import Snapshot

# Bytes sent to one peer and not answered for, beyond which it is left to breathe.
WINDOW = 2 << 20

# Seconds without a sign of what was sent, after which it is taken for lost.
LOST_AFTER = 1.0

# Seconds until a peer whose link took no more is tried again.
_PAUSE = 0.02


@dataclass(slots=True)
class Progress:
    """Numbers count the leader's messages; an answer names the one it is to."""

    answered_at: float
    answered: int = 0
    told: int = 0
    rewound: int = 0
    paused_until: float = 0.0
    snapshot: Snapshot | None = None
    offset: int = 0
    part_at: float = 0.0
    flying: int = 0
    _sent: deque[tuple[int, int, float]] = field(default_factory=deque)

    def sent(self, number: int, size: int, commit: int, now: float) -> None:
        self.told = commit
        if number:
            self._sent.append((number, size, now))
            self.flying += size

    def answer(self, number: int, now: float) -> None:
        self.answered = max(self.answered, number)
        self.answered_at = now
        while self._sent and self._sent[0][0] <= number:
            self.flying -= self._sent.popleft()[1]

    def stale(self, number: int) -> bool:
        """Whether a refusal is of a message sent before the last going back."""
        return number < self.rewound

    def rewind(self, number: int) -> None:
        """What was sent before `number` does not count any more."""
        self.rewound = number
        self._sent.clear()
        self.flying = 0

    def refused(self, now: float) -> None:
        """The link took no more."""
        self.paused_until = now + _PAUSE

    def ready(self, now: float) -> bool:
        return self.flying < WINDOW and now >= self.paused_until

    def lost(self, now: float) -> bool:
        """Whether what was sent has gone unanswered for too long."""
        return bool(self._sent) and now - self._sent[0][2] > LOST_AFTER

"""When to stand for election, whom to believe alive, and who has answered. Decides; sends and stores nothing."""

from __future__ import annotations

import random

from hiveminddb.model import NodeId

# A follower gives its leader between so many of the beats that the leader has promised.
FEWEST_BEATS, MOST_BEATS = 4, 8

# Seconds between the followers' tries, in rank order, once the leader's link is known to be dead.
RANK_STEP = 0.03

# Seconds before an election that came to nothing is tried again; grows up to the last.
_FIRST_RETRY, _LAST_RETRY = 0.04, 1.0

# A timer that fires so many seconds late was asleep, and so was whatever it waited for: it is given the same again.
_ASLEEP = 0.1

_FIRST_BEAT = 0.1


class Election:
    """One voter's view of who leads, its next try, and the answers to it. Times are seconds of one monotonic clock."""

    def __init__(self, me: NodeId, now: float, chance: random.Random) -> None:
        self._me = me
        self._chance = chance
        self.leader: NodeId | None = None
        self.heard_at = now
        self.beat = _FIRST_BEAT
        self.handed = False
        self.round = chance.getrandbits(32)
        self._granted: set[NodeId] = set()
        self._voted: set[NodeId] = set()
        self._voted_term = 0
        self._tries = 0
        self.due = now + self._timeout()

    def heard(self, leader: NodeId, beat: float, now: float) -> None:
        self.leader, self.beat, self.heard_at = leader, beat, now
        self.handed = False
        self._tries = 0
        self._granted.clear()
        self.due = now + self._timeout()

    def alive(self, now: float) -> bool:
        """Whether a leader was heard so lately that no other is wanted."""
        return self.leader is not None and now - self.heard_at < FEWEST_BEATS * self.beat

    def lost(self, now: float, rank: int) -> None:
        """The leader's link is dead: the first in rank tries at once."""
        self.leader = None
        self._tries = 0
        self.due = now + rank * RANK_STEP

    def retired(self, now: float) -> None:
        """This node led, and leads no more: the others come first."""
        self.leader = None
        self.due = now + self._timeout()

    def soon(self, now: float) -> None:
        """A peer has come, and what failed before may succeed."""
        if self.leader is None:
            self._tries = 0
            self.due = min(self.due, now + self._chance.uniform(0, 2 * RANK_STEP))

    def overslept(self, now: float) -> bool:
        """Put off once where the timer itself was late."""
        if now - self.due < _ASLEEP:
            return False
        self.due = now + self._chance.uniform(_FIRST_RETRY, 2 * _FIRST_RETRY)
        return True

    def stand(self, now: float) -> int:
        """The number of a new round of asking, with one's own answer in it."""
        self.leader = None
        self.handed = False
        self.round += 1
        self._granted = {self._me}
        pause = min(_LAST_RETRY, _FIRST_RETRY * 1.5**self._tries)
        self._tries += 1
        self.due = now + self._chance.uniform(pause, 2 * pause)
        return self.round

    def granted(self, round: int, peer: NodeId, voters: frozenset[NodeId]) -> int:
        """How many voters would vote for this one, `peer` among them; 0 for an answer to an earlier round."""
        if round != self.round or not self._granted:
            return 0
        self._granted.add(peer)
        return len(self._granted & voters)

    def campaigning(self) -> None:
        """The round is over; answers that come late count no more."""
        self._granted.clear()

    def first_vote(self, term: int, peer: NodeId) -> bool:
        """Whether this is the peer's first vote in that term."""
        if term != self._voted_term:
            self._voted_term, self._voted = term, set()
        if peer in self._voted:
            return False
        self._voted.add(peer)
        return True

    def give_way(self, now: float) -> None:
        """Another stands and was promised support: leave it time."""
        self.due = max(self.due, now + self._chance.uniform(2, 4) * _FIRST_RETRY)

    def _timeout(self) -> float:
        return self._chance.uniform(FEWEST_BEATS, MOST_BEATS) * self.beat

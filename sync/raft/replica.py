"""One voter, step by step and without an event loop: everything happens in `step`, at the time its clock tells.

A step: what has come in → timers → what callers want → entries to peers → what is committed to the machine → sync →
only then votes and acknowledgements. So peers write while this node writes, and nothing is promised before it is safe.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hiveminddb.errors import Conflict
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import (
    COMMAND,
    Acknowledge,
    Append,
    AskVote,
    HandOver,
    Message,
    Part,
    Probe,
    Probed,
    Taken,
    Together,
    Vote,
    decode,
)
from hiveminddb.sync.raft.deciding import Deciding
from hiveminddb.sync.raft.engine import CANDIDATE
from hiveminddb.sync.raft.following import Following
from hiveminddb.sync.raft.journal import Base, Journal, Storage
from hiveminddb.sync.raft.leadership import Leadership
from hiveminddb.sync.raft.requests import Ticket
from hiveminddb.sync.raft.snapshot import NAME as SNAPSHOT
from hiveminddb.sync.raft.snapshot import Snapshot, from_file
from hiveminddb.sync.raft.standing import Standing
from hiveminddb.sync.raft.voter import Voter

log = logging.getLogger(__name__)

# A log larger than this is cut, as far as the machine's state is durable.
MOST_ENTRIES = 10_000
MOST_BYTES = 8 << 20

# A peer that lags behind holds the cut back until the log is so many times larger; then it needs a snapshot.
_PATIENCE = 4


class Committed(NamedTuple):
    """An entry of the one order; `command` is empty where consensus speaks to itself: only the index moves on."""

    index: int  # type: ignore[assignment]
    term: int
    command: bytes


class Replica:
    """Raises StorageError from `step`, after which it must not be used any more."""

    def __init__(
        self,
        me: NodeId,
        storage: Storage,
        voters: frozenset[NodeId],
        applied: int,
        send: Callable[[NodeId, bytes], bool],
        deliver: Callable[[Sequence[Committed]], None],
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        """`applied` is what the machine holds durably; `voters` count only where the storage is empty."""
        self._deliver, self._clock = deliver, clock
        self.voter = voter = Voter(me, storage, voters, applied, send, clock(), chance)
        self.delivered = applied
        self._inbox: deque[tuple[NodeId, Message | bool]] = deque()
        self._following, self._standing, self._deciding = Following(voter), Standing(voter), Deciding(voter)
        self._handlers: dict[type[object], Callable[[NodeId, Any], None]] = {
            bool: voter.linked,
            Append: self._following.on_append,
            Part: self._following.on_part,
            Probe: self._standing.on_probe,
            Probed: self._standing.on_probed,
            AskVote: self._standing.on_ask_vote,
            Vote: self._standing.on_vote,
            HandOver: self._standing.on_hand_over,
            Acknowledge: self._on_acknowledge,
            Taken: self._on_taken,
            Together: self._on_together,
        }

    # What others read.

    @property
    def role(self) -> str:
        if not self.voter.votes:
            return "learner"
        return ("follower", "candidate", "leader")[self.voter.engine.role]

    @property
    def has_quorum(self) -> bool:
        """A live leader is heard; as leader, a majority answers; as learner, any voter is connected."""
        voter = self.voter
        if voter.leadership:
            return voter.content
        return voter.election.leader is not None if voter.votes else bool(voter.voters & voter.connected)

    @property
    def installing(self) -> Snapshot | None:
        """What the machine is to install; then `installed`."""
        return self.voter.installing

    @property
    def snapshot_wanted(self) -> bool:
        """Whether a peer needs the machine's state; see `offer`."""
        return self.voter.leadership is not None and self.voter.leadership.snapshot_wanted

    @property
    def busy(self) -> bool:
        """Whether another step has something to do at once."""
        if self._inbox or self.voter.journal.dirty:
            return True
        leadership = self.voter.leadership
        return leadership is not None and (leadership.asked or leadership.commit_soon() > self.voter.engine.commit)

    def next_due(self) -> float:
        """When `step` is wanted though nothing comes in."""
        voter = self.voter
        due = voter.requests.next_due(eager=self._deciding.adviser() is not None)
        if voter.leadership:
            return min(due, voter.leadership.next_due())
        return min(due, voter.election.due) if voter.votes or voter.election.leader else due

    # What others tell.

    def received(self, peer: NodeId, payload: bytes) -> None:
        """Raises InvalidFrame where it is no message."""
        self._inbox.append((peer, decode(payload)))

    def peer_up(self, peer: NodeId) -> None:
        self._inbox.append((peer, True))

    def peer_down(self, peer: NodeId) -> None:
        """In order with what was received: a leader's last message does not bring it back to life."""
        self._inbox.append((peer, False))

    def submit(self, ticket: Ticket) -> None:
        self.voter.requests.submit(ticket)

    def offer(self, index: int, state: bytes) -> bool:
        """The machine's state after `index`, durable there, for peers whose next entries the log holds no more.

        False where it cannot be given to them.
        """
        voter = self.voter
        if voter.leadership is None or not voter.journal.base_index <= index <= self.delivered:
            return False
        # Who came in after that entry does not know who voted then: the machine is there in a moment.
        if not (voters := voter.configuration.at(index)):
            return False
        voter.leadership.snapshot = Snapshot(Base(index, voter.journal.term_at(index) or 0, voters), state)
        voter.leadership.snapshot_wanted = False
        return True

    def installed(self) -> None:
        """The machine holds `installing` durably."""
        self.delivered = self._following.installed()
        self._deciding.skipped(self.delivered)

    def hand_over(self, to: NodeId) -> None:
        """Raises Conflict where this node does not lead or `to` is no other voter that is connected."""
        voter = self.voter
        if voter.leadership is None:
            raise Conflict("only the leader hands over", f"the leader is {voter.leader}")
        if to == voter.me or to not in voter.voters & voter.connected:
            raise Conflict(f"{to} is no other connected voter", "hmd swarm shows them")
        voter.leadership.hand_over(to, voter.now)

    # The step.

    def step(self) -> None:
        voter = self.voter
        voter.now = self._clock()
        if voter.engine.role == CANDIDATE:
            voter.engine.set_reachable(voter.connected)
        while self._inbox:
            peer, message = self._inbox.popleft()
            self._handlers[type(message)](peer, message)
        self._timers()
        self._deciding.serve()
        self._replicate()
        self._hand_to_machine()
        voter.journal.sync()
        for _, request in voter.outbox.release():
            voter.requests.not_sent(request, voter.now)
        self._hand_to_machine()
        if voter.leadership:
            voter.leadership.forget_snapshot()

    def _on_acknowledge(self, peer: NodeId, message: Acknowledge) -> None:
        if leadership := self._answered(peer, message.term):
            leadership.acknowledged(peer, message, self.voter.now)

    def _on_taken(self, peer: NodeId, message: Taken) -> None:
        if leadership := self._answered(peer, message.term):
            leadership.taken(peer, message, self.voter.now)

    def _answered(self, peer: NodeId, term: int) -> Leadership | None:
        """The leadership that an answer is to, where it is from one of its peers; a higher term ends it."""
        voter = self.voter
        if term > voter.engine.term and peer in voter.voters:
            voter.step_down(term)
        leadership = voter.leadership
        return leadership if leadership and term == voter.engine.term and peer in leadership.peers else None

    def _on_together(self, peer: NodeId, message: Together) -> None:
        voter = self.voter
        # A request may pass one voter that is not the leader, and knows it: a learner knows no better.
        hops = 2 if voter.leading else int(voter.election.leader in voter.connected)
        for request in message.requests:
            voter.requests.asked_by(peer, request, hops, voter.now, self._told)
        for answer in message.answers:
            voter.requests.answered(peer, answer, voter.now)

    def _told(self, peer: NodeId) -> None:
        if self.voter.leadership:
            self.voter.leadership.asked_by(peer)

    def _timers(self) -> None:
        voter = self.voter
        voter.requests.expire(voter.now)
        if voter.leadership:
            self._lead_on(voter.leadership)
        elif voter.now >= voter.election.due:
            self._standing.stand()

    def _lead_on(self, leadership: Leadership) -> None:
        voter = self.voter
        if not leadership.has_majority(voter.now):
            log.warning("no majority answers term=%d", voter.engine.term)
            voter.step_down(voter.engine.term)
            return
        if leadership.farewells_over(voter.now):
            voter.reconfigured()
        leadership.press_successor(voter.now)
        self._deciding.welcome(leadership)

    def _replicate(self) -> None:
        voter = self.voter
        if voter.leadership is None:
            return
        if voter.journal.dirty:
            voter.leadership.work(voter.now)
        targets = voter.leadership.targets(voter.now)
        if targets or voter.leadership.commit_soon() > voter.engine.commit:
            voter.engine.set_reachable(targets)
            voter.engine.tick(send=bool(targets))
        voter.leadership.settle_barriers()

    def _hand_to_machine(self) -> None:
        """What is committed, and on this disk."""
        voter = self.voter
        last = min(voter.engine.commit, voter.journal.durable_index)
        if last <= self.delivered or voter.installing:
            return
        entries = voter.journal.between(self.delivered + 1, last)
        self.delivered = last
        self._deliver([Committed(i, term, stored[1:] if stored[:1] == COMMAND else b"") for stored, i, term in entries])
        self._deciding.settle(entries)

    def compact(self, applied: int, most_entries: int = MOST_ENTRIES) -> None:
        """Cuts the log where it has grown large, never beyond what the machine holds durably."""
        voter, journal = self.voter, self.voter.journal
        length = journal.last_index - journal.base_index
        excess = max(length / most_entries, journal.size / MOST_BYTES)
        if excess <= 1:
            return
        end = min(applied, self.delivered)
        if voter.leadership and excess < _PATIENCE:
            end = min((end, *(voter.engine.match_of(peer) for peer in voter.leadership.peers)))
        if 2 * (end - journal.base_index) < length:
            return
        base = Base(end, journal.term_at(end) or 0, voter.configuration.at(end))
        journal.compact(base)
        voter.configuration.begin_after(base)
        voter.engine.rebased()


def unfinished(storage: Storage, voters: frozenset[NodeId]) -> Snapshot | None:
    """A snapshot whose installation a crash broke off: the machine is to install it (again), then `finish` is due."""
    data = storage.read(SNAPSHOT)
    if data is None:
        return None
    snapshot = from_file(data)
    return snapshot if snapshot.base.index > Journal(storage, Base(0, 0, voters)).base_index else None


def finish(storage: Storage, voters: frozenset[NodeId], snapshot: Snapshot) -> None:
    """The machine holds it; the log begins there."""
    Journal(storage, Base(0, 0, voters)).install(snapshot.base)
    storage.remove(SNAPSHOT)

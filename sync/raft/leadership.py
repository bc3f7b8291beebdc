"""What a leader does beside pysyncobj: beats, catching peers up, its majority, reads, voters who come and go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import Acknowledge, Append, HandOver, Taken
from hiveminddb.sync.raft.election import MOST_BEATS
from hiveminddb.sync.raft.engine import Engine
from hiveminddb.sync.raft.guard import committed_by
from hiveminddb.sync.raft.journal import Journal
from hiveminddb.sync.raft.progress import Progress
from hiveminddb.sync.raft.requests import Ticket
from hiveminddb.sync.raft.snapshot import Snapshot
from hiveminddb.sync.raft.transport import Outbox

# Seconds between beats while there is work, and while there is none: a link's own death notice is faster than either.
BEAT, IDLE_BEAT = 0.1, 0.4

# Seconds after the last work during which beats stay quick, and beats that announce the slow ones before they come.
_STAY_QUICK = 2.0
_ANNOUNCED = 3

# Seconds for which news of the commit index alone waits for entries to travel with; who asked hears it at once.
_NEWS_WAIT = 0.001

# Seconds until a piece of a snapshot that was not answered is sent again.
_PART_AGAIN = 2.0

# Seconds that a removed voter is still told of its removal.
_FAREWELL = 10.0

# Seconds for a successor to take over.
_HAND_OVER = 2.0
_HAND_AGAIN = 0.1


class Barrier(NamedTuple):
    """A read waits until a majority has answered a message not older than `number`."""

    ticket: Ticket
    number: int


class Leadership:
    """One term of leading. `first` is the term's own first entry."""

    def __init__(self, me: NodeId, engine: Engine, journal: Journal, outbox: Outbox, now: float) -> None:
        self._me, self._engine, self._journal, self._outbox = me, engine, journal, outbox
        self.term = engine.term
        self.first = journal.last_index
        self.number = 0
        self.peers: dict[NodeId, Progress] = {}
        self.voters: frozenset[NodeId] = frozenset({me})
        self.connected: frozenset[NodeId] = frozenset()
        self.joining: tuple[NodeId, Ticket] | None = None
        self.leaving: dict[NodeId, float] = {}
        self.barriers: list[Barrier] = []
        self.snapshot: Snapshot | None = None
        self.snapshot_wanted = False
        self.successor: tuple[NodeId, float] | None = None
        self._handed_at = 0.0
        self._beat_at = now
        self._quick_until = now + _STAY_QUICK
        self._announced = 0
        self._due = True
        self._news = 0
        self._news_at = float("inf")
        self._asking: set[NodeId] = set()

    # Peers.

    @property
    def guests(self) -> set[NodeId]:
        """Who receives and does not count."""
        return {*self.leaving, *([self.joining[0]] if self.joining else ())}

    def set_peers(self, peers: Iterable[NodeId], now: float) -> None:
        wanted = set(peers) - {self._me}
        self.peers = {peer: self.peers.get(peer) or Progress(now) for peer in wanted}

    def linked(self, peer: NodeId, connected: frozenset[NodeId], now: float) -> None:
        """A peer's link has come or gone: what was on its way there is not taken for sent, nor what it held for held.

        Whoever comes back may be an older copy of itself, and could else not be sent again what it acknowledged once.
        """
        self.connected = connected
        self.work(now)
        if peer in self.peers:
            self.peers[peer].rewind(self.number + 1)
            self.peers[peer].part_at = 0.0
            if peer in connected:
                self._engine.forget_match(peer)

    def farewells_over(self, now: float) -> bool:
        """Forgets removed voters that know of it, or have had their time; whether there were any."""
        over = [peer for peer, until in self.leaving.items() if now > until or self._told(peer)]
        for peer in over:
            del self.leaving[peer]
        return bool(over)

    def farewell(self, peer: NodeId, now: float) -> None:
        self.leaving[peer] = now + _FAREWELL

    def _told(self, peer: NodeId) -> bool:
        index = self._journal.last_index
        return self._engine.match_of(peer) == index == self._engine.commit == self.peers[peer].told

    # Beats.

    def work(self, now: float) -> None:
        """There is something to do: quick beats from now on."""
        self._quick_until = now + _STAY_QUICK
        self._announced = 0
        self._beat_at = min(self._beat_at, now + BEAT)

    def _promise(self, now: float) -> float:
        return BEAT if now < self._quick_until else IDLE_BEAT

    def _beaten(self, now: float) -> None:
        idle = now >= self._quick_until
        self._announced += idle
        self._beat_at = now + (IDLE_BEAT if self._announced > _ANNOUNCED else BEAT)

    def next_due(self) -> float:
        pauses = [progress.paused_until for peer, progress in self.peers.items() if self._behind(peer, progress)]
        return min((self._beat_at if self.peers else float("inf"), self._news_at, *pauses))

    def _behind(self, peer: NodeId, progress: Progress) -> bool:
        return peer in self.connected and self._engine.next_of(peer) <= self._journal.last_index and not progress.flying

    # Sending.

    def targets(self, now: float) -> list[NodeId]:
        """To whom pysyncobj should send now: those who lack entries, or news of the commit index, or a beat."""
        due = now >= self._beat_at
        if due:
            self._beaten(now)
        self._hear_news(now)
        chosen = []
        for peer, progress in self.peers.items():
            if peer not in self.connected:
                continue
            if progress.lost(now):
                progress.rewind(self.number + 1)
            following = self._engine.next_of(peer)
            if following <= self._journal.base_index:
                self._send_part(peer, progress, now)
            elif progress.ready(now):
                told = progress.told >= self._news or not (now >= self._news_at or peer in self._asking)
                if due or following <= self._journal.last_index or not told:
                    chosen.append(peer)
                continue
            if due:
                self._sign_of_life(peer, now)
        if now >= self._news_at:
            self._news_at = float("inf")
        self._asking.clear()
        self._due = due
        return chosen

    def _hear_news(self, now: float) -> None:
        commit = self.commit_soon()
        if commit > self._news:
            self._news = commit
            self._news_at = min(self._news_at, now + _NEWS_WAIT)

    def asked_by(self, peer: NodeId) -> None:
        """The peer waits for what has just been decided: it hears so in the next step."""
        self._asking.add(peer)

    @property
    def asked(self) -> bool:
        return bool(self._asking)

    def commit_soon(self) -> int:
        """The commit index as pysyncobj will find it."""
        matches = [self._engine.match_of(peer) for peer in self.voters if peer != self._me]
        index = committed_by(len(self.voters) // 2 + 1, [*matches, self._journal.durable_index])
        return index if index >= self.first else self._engine.commit

    def send(self, peer: NodeId, message: dict[str, Any], now: float) -> None:
        """One of pysyncobj's messages; where the link takes no more, it counts as not sent."""
        previous, commit = message["prevLogIdx"], message["commit_index"]
        beat = int(self._promise(now) * 1000)
        entries = tuple(message["entries"])
        answered = bool(entries) or self._due
        self.number += answered
        number = self.number if answered else 0
        progress = self.peers[peer]
        size = self._outbox.now(
            peer, Append(self.term, number, previous, message["prevLogTerm"], commit, beat, entries)
        )
        if size:
            progress.sent(number, size, commit, now)
        else:
            progress.refused(now)
            self._engine.set_next(peer, previous + 1)
        if not progress.ready(now):
            self._engine.skip(peer)

    def _sign_of_life(self, peer: NodeId, now: float) -> None:
        self.number += 1
        self._outbox.now(peer, Append(self.term, self.number, 0, 0, 0, int(self._promise(now) * 1000), ()))

    def _send_part(self, peer: NodeId, progress: Progress, now: float) -> None:
        if self.snapshot is None or self.snapshot.base.index < self._journal.base_index:
            self.snapshot_wanted = True
            return
        if progress.snapshot is not self.snapshot:
            progress.snapshot, progress.offset, progress.part_at = self.snapshot, 0, 0.0
        if now - progress.part_at >= _PART_AGAIN or progress.part_at == 0.0:
            self.number += 1
            beat = int(self._promise(now) * 1000)
            self._outbox.now(peer, self.snapshot.part(progress.offset, self.term, self.number, beat))
            progress.part_at = now

    # Answers.

    def acknowledged(self, peer: NodeId, message: Acknowledge, now: float) -> None:
        progress = self.peers[peer]
        progress.answer(message.number, now)
        following = self._engine.next_of(peer)
        last = self._journal.last_index
        if message.accepted and message.index <= last:
            answer = {"type": "next_node_idx", "next_node_idx": message.index + 1, "reset": False, "success": True}
            self._engine.receive(peer, answer)
            # pysyncobj goes back to the answered index, though more is on its way.
            self._engine.set_next(peer, max(following, self._engine.match_of(peer) + 1))
        elif not message.accepted and not progress.stale(message.number):
            progress.rewind(self.number + 1)
            self._engine.set_next(peer, max(self._engine.match_of(peer) + 1, min(message.index, last + 1)))

    def taken(self, peer: NodeId, message: Taken, now: float) -> None:
        progress = self.peers[peer]
        progress.answer(message.number, now)
        sending = progress.snapshot
        if sending is not None and sending.base.index == message.index and message.offset > progress.offset:
            progress.offset = message.offset
            progress.part_at = now if message.offset >= len(sending.state) else 0.0

    def forget_snapshot(self) -> None:
        """The state is let go once nobody needs it."""
        base = self._journal.base_index
        if self.snapshot and all(self._engine.next_of(peer) > base for peer in self.peers):
            self.snapshot = None
            for progress in self.peers.values():
                progress.snapshot = None

    # Majority.

    def has_majority(self, now: float) -> bool:
        """Whether more than half of the voters, this one among them, have answered lately."""
        patience = MOST_BEATS * self._promise(now)
        heard = [p for peer, p in self.peers.items() if peer in self.voters and now - p.answered_at <= patience]
        return len(heard) + 1 >= len(self.voters) // 2 + 1

    def reaches_majority(self) -> bool:
        return len(self.voters & self.connected) + 1 >= len(self.voters) // 2 + 1

    def barrier(self, ticket: Ticket, now: float) -> None:
        self.barriers.append(Barrier(ticket, self.number + 1))
        self._beat_at = now

    def settle_barriers(self) -> None:
        if not self.barriers or self._engine.commit < self.first:
            return
        answered = sorted((p.answered for peer, p in self.peers.items() if peer in self.voters), reverse=True)
        needed = len(self.voters) // 2
        reached = answered[needed - 1] if needed else self.number + 1
        for barrier in self.barriers:
            if barrier.number <= reached:
                barrier.ticket.settle(self._engine.commit)
        self.barriers = [barrier for barrier in self.barriers if barrier.number > reached]

    # Succession.

    def hand_over(self, to: NodeId, now: float) -> None:
        self.successor = to, now + _HAND_OVER
        self._handed_at = 0.0

    def press_successor(self, now: float) -> None:
        if self.successor is None:
            return
        to, until = self.successor
        if now > until or to not in self.peers:
            self.successor = None
        elif self._engine.match_of(to) == self._journal.last_index and now - self._handed_at > _HAND_AGAIN:
            self._handed_at = now
            self._outbox.hold(to, HandOver(self.term))

    def best_successor(self) -> NodeId | None:
        """The connected voter that holds most."""
        able = [(self._engine.match_of(peer), peer) for peer in self.peers if peer in self.voters & self.connected]
        return max(able)[1] if able else None

"""What a voter is at any moment: its log, its configuration, its role. The roles' work is done elsewhere."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from hiveminddb.errors import Corrupt
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import AskVote, Vote
from hiveminddb.sync.raft.configuration import Configuration
from hiveminddb.sync.raft.election import Election
from hiveminddb.sync.raft.engine import LEADER, Engine
from hiveminddb.sync.raft.journal import Base, Journal, Storage
from hiveminddb.sync.raft.leadership import Leadership
from hiveminddb.sync.raft.requests import Requests
from hiveminddb.sync.raft.snapshot import Snapshot
from hiveminddb.sync.raft.transport import Outbox

log = logging.getLogger(__name__)

_HINT = "start the daemon again: it begins another log; memories are not touched"


class Voter:
    """Shared by the roles. `now` is the time of the present step; nothing here looks at a clock."""

    def __init__(
        self,
        me: NodeId,
        storage: Storage,
        voters: frozenset[NodeId],
        applied: int,
        send: Callable[[NodeId, bytes], bool],
        now: float,
        chance: random.Random,
    ) -> None:
        self.me, self.now, self.storage, self.chance = me, now, storage, chance
        self.journal = Journal(storage, Base(0, 0, voters))
        self._check_machine(applied)
        self.journal.setRaftCommitIndex(applied)
        self.configuration = Configuration(self.journal.base, self.journal.between(0, self.journal.last_index))
        self.outbox = Outbox(send)
        self.requests = Requests(self.outbox, chance)
        self.election = Election(me, now, chance)
        self.engine = Engine(me, self.journal, self._from_engine)
        self.leadership: Leadership | None = None
        self.installing: Snapshot | None = None
        self.connected: set[NodeId] = set()
        self.accepted: int | None = None
        self.reconfigured()
        if self.configuration.voters == {me}:
            self.election.due = now

    def _check_machine(self, applied: int) -> None:
        first, last = self.journal.base_index, self.journal.last_index
        if not first <= applied <= last:
            raise Corrupt(f"the log holds entries {first + 1} to {last}, the machine is at {applied}", _HINT)

    @property
    def voters(self) -> frozenset[NodeId]:
        return self.configuration.voters

    @property
    def votes(self) -> bool:
        """Whether this node is a voter itself."""
        return self.me in self.configuration.voters

    @property
    def leading(self) -> bool:
        return self.engine.role == LEADER

    @property
    def leader(self) -> NodeId | None:
        return self.me if self.leading else self.election.leader

    @property
    def content(self) -> bool:
        """Whether a leader is alive, so that no other is wanted."""
        if self.leadership:
            return self.leadership.reaches_majority() and self.leadership.has_majority(self.now)
        return self.election.alive(self.now)

    def step_down(self, term: int) -> None:
        """A follower from now on, in that term if it is newer."""
        if term > self.engine.term:
            self.election.leader = None
        self.engine.follow(term)
        self.role_changed()

    def role_changed(self) -> None:
        """Leadership begins where pysyncobj has made this node leader, and ends where it no longer is."""
        if self.leading:
            self.lead()
        elif self.leadership:
            self._lead_no_more()

    def lead(self) -> Leadership:
        """The leadership of this term; begun where it has not."""
        if self.leadership is None or self.leadership.term != self.engine.term:
            self.leadership = Leadership(self.me, self.engine, self.journal, self.outbox, self.now)
            self.leadership.connected = frozenset(self.connected)
            self.reconfigured()
            log.info("leading term=%d", self.engine.term)
        return self.leadership

    def _lead_no_more(self) -> None:
        leadership, self.leadership = self.leadership, None
        assert leadership is not None
        self.election.retired(self.now)
        for barrier in leadership.barriers:
            self.requests.again(barrier.ticket, self.now)
        if leadership.joining:
            self.requests.again(leadership.joining[1], self.now)
        self.requests.refuse_remote()
        self.reconfigured()
        log.info("leading no more term=%d", leadership.term)

    def reconfigured(self) -> None:
        """pysyncobj and the leadership learn who counts and who receives."""
        guests = self.leadership.guests - self.voters if self.leadership else set()
        self.engine.set_voters(self.voters - {self.me}, guests)
        if self.leadership:
            self.leadership.voters = self.voters
            self.leadership.set_peers(self.voters | guests, self.now)

    def linked(self, peer: NodeId, up: bool) -> None:
        """A link has come or gone."""
        (self.connected.add if up else self.connected.discard)(peer)
        if self.leadership:
            self.leadership.linked(peer, frozenset(self.connected), self.now)
        elif up:
            self.election.soon(self.now)
        elif peer == self.election.leader:
            left = sorted(self.voters - {peer})
            self.election.lost(self.now, left.index(self.me) if self.me in left else 0)
        if not up:
            self.requests.lost(peer, self.now)

    def _from_engine(self, peer: NodeId, message: dict[str, Any]) -> None:
        """What pysyncobj wants said."""
        kind = message["type"]
        if kind == "append_entries":
            self.lead().send(peer, message, self.now)
        elif kind == "next_node_idx":
            self.accepted = message["next_node_idx"] - 1 if message["success"] else None
        elif kind == "request_vote":
            ask = AskVote(message["term"], message["last_log_index"], message["last_log_term"], self.election.handed)
            self.outbox.hold(peer, ask)
        elif kind == "response_vote":
            self.outbox.hold(peer, Vote(message["term"]))
            self.election.give_way(self.now)

"""A follower's work: entries and snapshots from the leader, and what may be answered for."""

from __future__ import annotations

import logging

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import Acknowledge, Append, Part, Taken
from hiveminddb.sync.raft.configuration import Configuration
from hiveminddb.sync.raft.engine import CANDIDATE
from hiveminddb.sync.raft.guard import Fitting, Misfit, capped, fit
from hiveminddb.sync.raft.snapshot import NAME, Assembly, to_file
from hiveminddb.sync.raft.voter import Voter

log = logging.getLogger(__name__)


class Following:
    """Nothing it answers leaves before the sync: the outbox holds it."""

    def __init__(self, voter: Voter) -> None:
        self._voter = voter
        self._assembly = Assembly()
        self._install_from: tuple[NodeId, int, int] | None = None

    def on_append(self, peer: NodeId, message: Append) -> None:
        voter = self._voter
        if not self._follow(peer, message):
            return
        fitting = fit(voter.journal, voter.engine.commit, message)
        if isinstance(fitting, Misfit):
            self._answer(peer, message, False, fitting.retry)
            return
        self._hand_on(peer, message.term, fitting)
        if voter.accepted is not None:
            self._answer(peer, message, True, capped(voter.accepted, fitting.proven))

    def _hand_on(self, peer: NodeId, term: int, fitting: Fitting) -> None:
        voter = self._voter
        cut = fitting.prev_index < voter.journal.last_index and voter.configuration.cut(fitting.prev_index + 1)
        voter.accepted = None
        voter.engine.receive(
            peer,
            {
                "type": "append_entries",
                "term": term,
                "commit_index": fitting.commit,
                "entries": fitting.entries,
                "prevLogIdx": fitting.prev_index,
                "prevLogTerm": fitting.prev_term,
            },
        )
        if voter.configuration.appended(fitting.entries) or cut:
            voter.reconfigured()

    def _answer(self, peer: NodeId, message: Append | Part, accepted: bool, index: int) -> None:
        if message.number:
            self._voter.outbox.hold(peer, Acknowledge(message.term, message.number, accepted, index))

    def _follow(self, peer: NodeId, message: Append | Part) -> bool:
        """Whether `peer` leads the present term, and its message can be taken.

        A newer term is taken over, an older one is told of ours. While a snapshot is being installed the answer says
        that this node is alive, and nothing else.
        """
        voter, term = self._voter, message.term
        if term < voter.engine.term:
            refusal = Acknowledge(voter.engine.term, message.number, False, voter.journal.last_index + 1)
            voter.outbox.hold(peer, refusal)
            return False
        if term == voter.engine.term and (voter.leading or voter.election.leader not in (None, peer)):
            log.error("two leaders in a term term=%d known=%s other=%s", term, voter.leader, peer)
            return False
        if term > voter.engine.term or voter.engine.role == CANDIDATE:
            voter.step_down(term)
        voter.election.heard(peer, message.beat / 1000, voter.now)
        if voter.installing:
            self._answer(peer, message, True, 0)
        return not voter.installing

    def on_part(self, peer: NodeId, part: Part) -> None:
        voter = self._voter
        if not self._follow(peer, part):
            return
        if part.index <= voter.engine.commit:
            # Stale or sent twice: all of it is here already.
            self._answer(peer, part, True, part.index)
            return
        taken = self._assembly.take(part)
        voter.outbox.hold(peer, Taken(part.term, part.number, part.index, taken))
        snapshot = self._assembly.finish(part)
        if snapshot is not None:
            voter.storage.replace(NAME, to_file(snapshot))
            voter.installing = snapshot
            self._install_from = peer, part.term, part.number

    def installed(self) -> int:
        """The machine holds the snapshot durably: the log begins there, at the index returned."""
        voter = self._voter
        assert voter.installing is not None
        base, voter.installing = voter.installing.base, None
        voter.journal.install(base)
        voter.engine.rebased()
        voter.storage.remove(NAME)
        voter.configuration = Configuration(base, voter.journal.between(base.index + 1, voter.journal.last_index))
        voter.reconfigured()
        if self._install_from:
            peer, term, number = self._install_from
            if term == voter.engine.term:
                voter.outbox.hold(peer, Acknowledge(term, number, True, base.index))
        log.info("snapshot installed index=%d term=%d", base.index, base.term)
        return base.index

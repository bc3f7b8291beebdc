"""Elections: asking whether one would be voted for, asking for votes, giving them."""

from __future__ import annotations

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import AskVote, HandOver, Probe, Probed, Vote
from hiveminddb.sync.raft.engine import CANDIDATE
from hiveminddb.sync.raft.guard import may_ask, up_to_date
from hiveminddb.sync.raft.voter import Voter


class Standing:
    """A round of probes goes before every election (Ongaro's dissertation, 9.6): only who can win disturbs the term."""

    def __init__(self, voter: Voter) -> None:
        self._voter = voter

    def stand(self) -> None:
        """The election timer has fired."""
        voter = self._voter
        if voter.election.overslept(voter.now):
            return
        number = voter.election.stand(voter.now)
        if not voter.votes or voter.installing:
            return
        if voter.engine.role == CANDIDATE:
            voter.step_down(voter.engine.term)
        if voter.voters == {voter.me}:
            self._campaign()
            return
        probe = Probe(number, voter.engine.term + 1, voter.journal.last_index, voter.journal.last_term)
        for peer in sorted(voter.voters & voter.connected):
            voter.outbox.hold(peer, probe)

    def on_probe(self, peer: NodeId, message: Probe) -> None:
        voter = self._voter
        if not self._may_ask(peer, message.last_index, message.last_term):
            return
        current = up_to_date(voter.journal, message.last_index, message.last_term)
        granted = current and message.term > voter.engine.term and not voter.content
        if granted:
            voter.election.give_way(voter.now)
        voter.outbox.hold(peer, Probed(message.round, voter.engine.term, granted))

    def on_probed(self, peer: NodeId, message: Probed) -> None:
        voter = self._voter
        if peer not in voter.voters or voter.leading:
            return
        if message.term > voter.engine.term:
            voter.step_down(message.term)
        elif message.granted:
            granted = voter.election.granted(message.round, peer, voter.voters)
            if granted >= voter.configuration.majority:
                self._campaign()

    def on_ask_vote(self, peer: NodeId, message: AskVote) -> None:
        voter = self._voter
        if not self._may_ask(peer, message.last_index, message.last_term):
            return
        if voter.content and not message.handed:
            return
        if message.term > voter.engine.term:
            voter.election.leader = None
        if message.term == voter.engine.term and voter.engine.voted_for == peer:
            # It asks again because the answer was lost, and pysyncobj would not repeat it.
            voter.outbox.hold(peer, Vote(message.term))
            return
        voter.engine.receive(
            peer,
            {
                "type": "request_vote",
                "term": message.term,
                "last_log_index": message.last_index,
                "last_log_term": message.last_term,
            },
        )
        voter.role_changed()

    def on_vote(self, peer: NodeId, message: Vote) -> None:
        """pysyncobj counts whatever it is shown: it is shown each voter's vote of this term once."""
        voter = self._voter
        wanted = voter.engine.role == CANDIDATE and message.term == voter.engine.term and peer in voter.voters
        if wanted and voter.election.first_vote(message.term, peer):
            voter.engine.receive(peer, {"type": "response_vote", "term": message.term})
            voter.role_changed()

    def on_hand_over(self, peer: NodeId, message: HandOver) -> None:
        """The leader wants this one to lead: no probe, and the others do not refuse for the leader's sake."""
        voter = self._voter
        if message.term == voter.engine.term and peer == voter.election.leader and voter.votes:
            voter.election.stand(voter.now)
            voter.election.handed = True
            self._campaign()

    def _campaign(self) -> None:
        voter = self._voter
        voter.election.campaigning()
        voter.engine.campaign()
        voter.role_changed()

    def _may_ask(self, peer: NodeId, last_index: int, last_term: int) -> bool:
        voter = self._voter
        return may_ask(voter.journal, peer in voter.voters, last_index, last_term)

"""A leader's decisions: what callers want goes into the log, voters come and go, outcomes are told."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from hiveminddb.errors import Conflict, NoQuorum, OutcomeUnknown
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import COMMAND, LONGEST_NAME, encode_voters
from hiveminddb.sync.raft.configuration import check_single_change, with_voter, without_voter
from hiveminddb.sync.raft.journal import Entry
from hiveminddb.sync.raft.leadership import Leadership
from hiveminddb.sync.raft.requests import Kind, Ticket
from hiveminddb.sync.raft.voter import Voter

log = logging.getLogger(__name__)

# Bytes of a log that is not cut, beyond which a leader takes no more: the machine does not keep up.
_MOST_KEPT = 96 << 20


class Deciding:
    """Tickets by the entry that would decide them."""

    def __init__(self, voter: Voter) -> None:
        self._voter = voter
        self._pending: dict[int, tuple[int, Ticket]] = {}

    def serve(self) -> None:
        """Tickets that wait go where they can be decided."""
        voter, adviser = self._voter, self.adviser()
        if voter.leadership and adviser:
            self._decide(voter.leadership, voter.requests.take(voter.now))
        elif adviser:
            hops = 1 if adviser == voter.election.leader else 0
            for ticket in voter.requests.take(voter.now):
                voter.requests.forward(ticket, adviser, max(hops, ticket.hops), voter.now)

    def adviser(self) -> NodeId | None:
        """Who is to be asked: this node if it leads and can decide, the leader, or, of a learner, any voter."""
        voter = self._voter
        if voter.leadership:
            able = voter.leadership.reaches_majority() and voter.leadership.successor is None
            return voter.me if able else None
        leader = voter.election.leader
        if leader in voter.connected:
            return leader
        # By chance: a voter that was removed while it was away may not know, and would refuse for ever.
        known = [] if voter.votes else sorted(voter.voters & voter.connected)
        return voter.chance.choice(known) if known else None

    def _decide(self, leadership: Leadership, tickets: list[Ticket]) -> None:
        voter = self._voter
        for position, ticket in enumerate(tickets):
            if ticket.kind == Kind.BARRIER:
                leadership.barrier(ticket, voter.now)
            elif ticket.kind != Kind.PROPOSE:
                self._decide_voters(leadership, ticket)
            elif voter.journal.size > _MOST_KEPT:
                voter.requests.put_back(tickets[position:], voter.now)
                return
            else:
                self._append(COMMAND + ticket.body, ticket)

    def _append(self, stored: bytes, ticket: Ticket) -> int:
        voter = self._voter
        index, term = voter.journal.last_index + 1, voter.engine.term
        voter.journal.add(stored, index, term)
        ticket.proposed = True
        if index in self._pending:
            self._pending[index][1].settle(OutcomeUnknown("another leader came in between", "look whether it holds"))
        self._pending[index] = term, ticket
        return index

    def settle(self, entries: Iterable[Entry]) -> None:
        """These are decided: whoever wanted them hears it, and whoever wanted others in their places."""
        if not self._pending:
            return
        for _, index, term in entries:
            proposed = self._pending.pop(index, None)
            if proposed is not None:
                lost = NoQuorum("another leader's entry was decided instead", "try again")
                proposed[1].settle(index if proposed[0] == term else lost)

    def skipped(self, index: int) -> None:
        """Entries up to `index` came as a snapshot: nobody can tell any more which they were."""
        for known in [known for known in self._pending if known <= index]:
            self._pending.pop(known)[1].settle(OutcomeUnknown("it went by in a snapshot", "look whether it holds"))

    # Voters.

    def _decide_voters(self, leadership: Leadership, ticket: Ticket) -> None:
        if leadership.first > self._voter.engine.commit:
            self._voter.requests.again(ticket, self._voter.now)
            return
        try:
            self._try_voters(leadership, ticket, NodeId(ticket.body.decode(errors="replace")))
        except Conflict as conflict:
            ticket.settle(conflict)

    def _try_voters(self, leadership: Leadership, ticket: Ticket, node: NodeId) -> None:
        voter = self._voter
        if not 0 < len(node) <= LONGEST_NAME:
            raise Conflict(f"{node[:40]!r} is no node id", f"at most {LONGEST_NAME} characters")
        if leadership.joining:
            raise Conflict(f"{leadership.joining[0]} is joining at the moment", "try again when it has")
        check_single_change(voter.configuration.index, voter.engine.commit, leadership.first)
        if (node in voter.voters) == (ticket.kind == Kind.ADD):
            ticket.settle(voter.configuration.index)
        elif ticket.kind == Kind.ADD:
            with_voter(voter.voters, node)
            leadership.joining = node, ticket
            voter.reconfigured()
        elif node == voter.me:
            self._resign(leadership, ticket)
        else:
            voters = without_voter(voter.voters, node)
            leadership.farewell(node, voter.now)
            self._change_voters(ticket, voters)

    def _resign(self, leadership: Leadership, ticket: Ticket) -> None:
        """A leader that is to go hands over first; the next one removes it."""
        voter = self._voter
        without_voter(voter.voters, voter.me)
        successor = leadership.best_successor()
        if successor is None:
            ticket.settle(NoQuorum("no other voter is connected that could lead", "connect one, then try again"))
            return
        leadership.hand_over(successor, voter.now)
        voter.requests.again(ticket, voter.now)

    def welcome(self, leadership: Leadership) -> None:
        """A node that has caught up becomes a voter; one that took too long does not."""
        if leadership.joining is None:
            return
        voter = self._voter
        node, ticket = leadership.joining
        if ticket.settled:
            leadership.joining = None
            voter.reconfigured()
        elif voter.engine.match_of(node) >= max(voter.engine.commit, leadership.first):
            leadership.joining = None
            self._change_voters(ticket, with_voter(voter.voters, node))

    def _change_voters(self, ticket: Ticket, voters: frozenset[NodeId]) -> None:
        voter = self._voter
        index = self._append(encode_voters(voters), ticket)
        # A voter that is removed may be the only other one: it must not hold its removal while this node does not.
        voter.journal.sync()
        voter.configuration.appended(voter.journal.between(index, index))
        voter.reconfigured()
        log.info("voters change index=%d voters=%s", index, ",".join(sorted(voters)))

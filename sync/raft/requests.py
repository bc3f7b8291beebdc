"""What callers want decided, from the moment they ask until it is settled, here or at the leader."""

from __future__ import annotations

import heapq
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hiveminddb.errors import Conflict, HiveMindError, NoQuorum, OutcomeUnknown
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import Answer, Request
from hiveminddb.sync.raft.transport import Outbox

# Requests and bytes of commands that may wait for a leader.
MOST_WAITING = 20_000
MOST_WAITING_BYTES = 64 << 20

# Seconds until a request that a peer refused is tried again.
_PAUSE = 0.03

# A relay gives up so much earlier that its answer arrives in time.
_RELAY_SHARE = 0.8

_REMEMBERED = 8192

_HINT = "a majority of the voters must be running and connected; hmd swarm shows them"


class Kind(IntEnum):
    PROPOSE, BARRIER, ADD, REMOVE = range(4)


class _Error(IntEnum):
    NONE, REFUSED, UNKNOWN, CONFLICT = range(4)


Outcome = int | HiveMindError


@dataclass(slots=True, eq=False)
class Ticket:
    """One wish. `proposed` once it may have been decided; `done` is called exactly once."""

    kind: Kind
    body: bytes
    deadline: float
    done: Callable[[Outcome], None]
    hops: int = 0
    remote: bool = False
    proposed: bool = False
    settled: bool = False

    def settle(self, outcome: Outcome) -> None:
        if not self.settled:
            self.settled = True
            self.done(outcome)


class Requests:
    """Tickets that wait, those handed to a peer, and the deadlines of all."""

    def __init__(self, outbox: Outbox, chance: random.Random) -> None:
        self._outbox = outbox
        self._waiting: deque[Ticket] = deque()
        self._waiting_bytes = 0
        self._asked: dict[int, tuple[NodeId, Ticket]] = {}
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self._next_id = chance.getrandbits(61)
        self._seen: dict[NodeId, OrderedDict[int, None]] = {}
        self._not_before = 0.0

    def submit(self, ticket: Ticket) -> None:
        if len(self._waiting) >= MOST_WAITING or self._waiting_bytes > MOST_WAITING_BYTES:
            ticket.settle(NoQuorum(f"{len(self._waiting)} requests wait for a leader already", _HINT))
            return
        self._next_id += 1
        heapq.heappush(self._deadlines, (ticket.deadline, self._next_id, ticket))
        self._wait(ticket)

    def again(self, ticket: Ticket, now: float) -> None:
        """Nothing was decided: waits for a leader once more."""
        ticket.proposed = False
        self._not_before = now + _PAUSE
        self._wait(ticket)

    def take(self, now: float) -> list[Ticket]:
        """All that waits, in order, unless it is to wait a little longer."""
        if not self._waiting or now < self._not_before:
            return []
        taken = [ticket for ticket in self._waiting if not ticket.settled]
        self._waiting.clear()
        self._waiting_bytes = 0
        return taken

    def put_back(self, tickets: list[Ticket], now: float) -> None:
        """They could not be taken on yet."""
        self._not_before = now + _PAUSE
        for ticket in tickets:
            self._wait(ticket)

    def forward(self, ticket: Ticket, peer: NodeId, hops: int, now: float) -> None:
        self._next_id += 1
        ticket.proposed = ticket.kind != Kind.BARRIER
        self._asked[self._next_id] = peer, ticket
        left = max(0, min(3_600_000, int((ticket.deadline - now) * 1000)))
        self._outbox.ask(peer, Request(self._next_id, hops, left, ticket.kind, ticket.body))

    def not_sent(self, request: Request, now: float) -> None:
        """No link took it."""
        _, ticket = self._asked.pop(request.id)
        self.again(ticket, now)

    def asked_by(self, peer: NodeId, request: Request, hops: int, now: float, told: Callable[[NodeId], None]) -> None:
        """A peer's request becomes a ticket here, which may go `hops` further; the same one a second time does not.

        `told` is called once it was answered.
        """
        seen = self._seen.setdefault(peer, OrderedDict())
        if request.id in seen:
            return
        seen[request.id] = None
        if len(seen) > _REMEMBERED:
            seen.popitem(last=False)
        if hops <= request.hops:
            self._outbox.answer(peer, Answer(request.id, _Error.REFUSED, 0, "neither the leader nor in touch with it"))
            return
        deadline = now + request.milliseconds / 1000 * _RELAY_SHARE

        def done(outcome: Outcome) -> None:
            self._outbox.answer(peer, _answer(request.id, outcome))
            told(peer)

        self.submit(Ticket(Kind(request.kind), request.body, deadline, done, request.hops + 1, remote=True))

    def answered(self, peer: NodeId, answer: Answer, now: float) -> None:
        asked = self._asked.get(answer.id)
        if asked is None or asked[0] != peer:
            return
        del self._asked[answer.id]
        ticket = asked[1]
        if answer.error == _Error.NONE:
            ticket.settle(answer.index)
        elif answer.error == _Error.UNKNOWN:
            ticket.settle(_unknown())
        elif answer.error == _Error.CONFLICT:
            ticket.settle(Conflict(answer.text))
        elif not ticket.settled:
            self.again(ticket, now)

    def lost(self, peer: NodeId, now: float) -> None:
        """The link to a peer broke: what it was asked may be decided or not."""
        gone = [number for number, (asked, _) in self._asked.items() if asked == peer]
        for number in gone:
            _, ticket = self._asked.pop(number)
            if ticket.kind == Kind.PROPOSE:
                ticket.settle(_unknown())
            elif not ticket.settled:
                self.again(ticket, now)

    def refuse_remote(self) -> None:
        """This node leads no more: peers are told to ask elsewhere."""
        for ticket in self._waiting:
            if ticket.remote:
                ticket.settle(_no_quorum())
        self._waiting = deque(ticket for ticket in self._waiting if not ticket.settled)
        self._waiting_bytes = sum(len(ticket.body) for ticket in self._waiting)

    def expire(self, now: float) -> None:
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].settled):
            ticket = heapq.heappop(self._deadlines)[2]
            ticket.settle(_unknown() if ticket.proposed else _NOTHING_DONE[ticket.kind == Kind.ADD]())
        if len(self._asked) > MOST_WAITING:
            self._asked = {number: pair for number, pair in self._asked.items() if not pair[1].settled}

    def close(self) -> None:
        """Nobody will answer any more."""
        self.expire(float("inf"))

    def next_due(self, eager: bool) -> float:
        """When `expire` is wanted, or, where there is somebody to serve them (`eager`), `take`."""
        due = self._deadlines[0][0] if self._deadlines else float("inf")
        return min(due, self._not_before) if eager and self._waiting else due

    def _wait(self, ticket: Ticket) -> None:
        self._waiting.append(ticket)
        self._waiting_bytes += len(ticket.body)


def _answer(number: int, outcome: Outcome) -> Answer:
    if isinstance(outcome, int):
        return Answer(number, _Error.NONE, outcome, "")
    if isinstance(outcome, OutcomeUnknown):
        return Answer(number, _Error.UNKNOWN, 0, "")
    error = _Error.CONFLICT if isinstance(outcome, Conflict) else _Error.REFUSED
    return Answer(number, error, 0, outcome.message[:500])


def _no_quorum() -> NoQuorum:
    return NoQuorum("no leader was there to decide in time; nothing was proposed", _HINT)


def _not_ready() -> NoQuorum:
    return NoQuorum(
        "the node did not catch up in time and is no voter", "it must be running and connected to the leader"
    )


_NOTHING_DONE = {False: _no_quorum, True: _not_ready}


def _unknown() -> OutcomeUnknown:
    return OutcomeUnknown("it was proposed, and no answer came in time", "look whether it holds before asking again")

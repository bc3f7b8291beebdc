"""Between nodes of one swarm: answers their questions, and asks in the name of a node that does not vote itself.

A learner hears nothing from Raft. It asks a linked node for the state that consensus has come to, and lets a voter
decide and read for it. Every node asks so when a link is made, and learns of a consensus formed anew while it was away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self, TypeVar

from hiveminddb.daemon.commits import Bell
from hiveminddb.daemon.supervision import supervised
from hiveminddb.daemon.swarm import commands, questions
from hiveminddb.daemon.swarm.claims import decided
from hiveminddb.daemon.swarm.commands import Claim, Membership, RemoveMember
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.deciding import Result
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.news import News
from hiveminddb.daemon.swarm.questions import (
    AskBarrier,
    AskDecision,
    AskState,
    BarrierAnswer,
    DecisionAnswer,
    Done,
    Farewell,
    Look,
    Question,
    StateAnswer,
)
from hiveminddb.daemon.swarm.standing import is_epoch
from hiveminddb.errors import Conflict, HiveMindError, InvalidFrame, NoQuorum, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store import changes, commits
from hiveminddb.store.database import Database

log = logging.getLogger(__name__)

A = TypeVar("A")

ANSWER_SECONDS = 10.0
BARRIER_SECONDS = 5.0
# A learner asks so often, should it have missed that something is new.
LEARN_SECONDS = 5.0


class Lines(Protocol):
    """Who carries a question to a peer and brings its answer."""

    async def call(self, peer: NodeId, payload: bytes, timeout: float) -> bytes: ...  # noqa: ASYNC109

    def connected(self) -> frozenset[NodeId]: ...


class Deputy:
    """Open inside `async with`; hears of a consensus formed anew, of what it has come to, and that this node is out."""

    def __init__(
        self,
        members: Members,
        database: Database,
        council: Council,
        machine: Machine,
        lines: Lines,
        news: News,
    ) -> None:
        self._me = members.me
        self._members, self._database, self._council = members, database, council
        self._machine, self._lines, self._news = machine, lines, news
        self._bell = Bell()
        self._asked: set[NodeId] = set()
        self.on_later: Callable[[StateAnswer], Awaitable[None]] = _nothing
        self.on_learned: Callable[[StateAnswer], Awaitable[None]] = _nothing
        self.on_farewell: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(supervised("learning", self._run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def votes(self) -> bool:
        """Whether this node decides with the others."""
        return self._me in self._council.voters

    def peer_up(self, node: NodeId) -> None:
        """A link is there: it may know of something later."""
        self._asked.add(node)
        self._bell.ring()

    # -- what others ask

    async def answer(self, node: NodeId, payload: bytes) -> bytes:
        """The answer to a member's question; InvalidFrame where it is none."""
        return questions.encode(await self._answered(node, questions.question(payload)))

    async def _answered(self, node: NodeId, question: Question) -> StateAnswer | DecisionAnswer | BarrierAnswer | Done:
        match question:
            case AskState():
                return await self._state(question)
            case AskDecision():
                return await self._decision(question)
            case AskBarrier():
                return await self._barrier()
            case Look():
                self.peer_up(node)
            case Farewell() if self._concerns(question):
                self.on_farewell()
        return Done()

    def _concerns(self, farewell: Farewell) -> bool:
        standing = self._council.standing
        told = (farewell.epoch, farewell.step)
        return farewell.swarm == standing.swarm and told > (standing.epoch, self._machine.applied)

    async def _state(self, question: AskState) -> StateAnswer:
        standing, step, term = self._council.standing, self._machine.applied, self._machine.term
        swarm, epoch, voters = standing.swarm, standing.epoch, sorted(self._council.voters_known)
        if swarm != question.swarm or (epoch, step) <= (question.epoch, question.step):
            return StateAnswer(swarm, epoch, step, term, b"", voters)
        step, state = await self._machine.snapshot()
        if self._council.view is None or self._council.standing != standing:
            # The state may be another swarm's already, or another epoch's.
            raise NoQuorum("the node asked is changing its swarm", "try again in a moment")
        # Not those of before: a voter whose vote is a part of that state must not hear that it has none.
        return StateAnswer(swarm, epoch, step, term, state, sorted(self._council.voters_known))

    async def _decision(self, question: AskDecision) -> DecisionAnswer:
        command = commands.decode(question.command)
        if not self.votes:
            raise NoQuorum("the node asked does not vote", "try again in a moment")
        if not isinstance(command, Claim | Membership):
            raise InvalidFrame("a command that nobody decides for another")
        self._check_vote_is_gone(command)
        result = await decided(self._council, self._machine, command)
        return DecisionAnswer(result.outcome, result.number, result.text, self._machine.applied)

    async def _barrier(self) -> BarrierAnswer:
        if not self.votes:
            raise NoQuorum("the node asked does not vote", "try again in a moment")
        await self._caught_up(await self._council.barrier(BARRIER_SECONDS))
        return BarrierAnswer(self._machine.applied, await self._database.read(commits.last_seq))

    # -- what this node wants of the swarm

    async def decide(self, command: Claim | Membership) -> Result:
        """What became of a command; NoQuorum, OutcomeUnknown; Conflict where a member still votes that is to go."""
        if self.votes:
            self._check_vote_is_gone(command)
        return await decided(self, self._machine, command)

    def _check_vote_is_gone(self, command: Claim | Membership) -> None:
        # Put out with its vote, it could go on deciding, and the rest could not.
        if isinstance(command, RemoveMember) and command.node in self._council.voters_known:
            name = self._members.name_of(NodeId(command.node))
            raise Conflict(f"{name} still votes", "try again once another machine has caught up with it")

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109 (Raft's own signature)
        """See Consensus.propose. Of what a voter decides in this node's name the step is one at which it was known."""
        if self.votes:
            return await self._council.propose(command, timeout)
        said = await self._ask_a_voter(AskDecision(command), DecisionAnswer)
        result = Result(said.outcome, said.number, said.text)  # type: ignore[arg-type]
        self._machine.answer({commands.decode(command).id: result})
        self._bell.ring()
        return said.step

    async def barrier(self) -> None:
        """Returns once all that was committed before the call can be read here; NoQuorum."""
        if self.votes:
            await self._caught_up(await self._council.barrier(BARRIER_SECONDS))
            seq = await self._database.read(commits.last_seq)
        else:
            said = await self._ask_a_voter(AskBarrier(), BarrierAnswer)
            self._bell.ring()
            await self._caught_up(said.step)
            seq = said.seq
        await self._until(lambda: self._knows(seq))

    async def _knows(self, seq: int) -> bool:
        return await self._database.read(changes.readable_upto) >= seq

    async def _caught_up(self, step: int) -> None:
        async def caught_up() -> bool:
            return self._machine.applied >= step

        await self._until(caught_up)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        if not await self._news.until(condition, ANSWER_SECONDS):
            raise Unavailable("this node has not caught up with the swarm in time", "try again in a moment")

    async def _ask_a_voter(self, question: Question, kind: type[A]) -> A:
        # Who shall vote no more may still be the one that decides: whoever is linked is asked in the end.
        voting = {row.id for row in self._members.others if row.role == "voter"}
        linked = {row.id for row in self._members.others} & self._lines.connected()
        refusal: HiveMindError | None = None
        for node in sorted(linked, key=lambda node: (node not in voting, node)):
            try:
                return await self._ask(node, question, kind)
            except NoQuorum as error:
                refusal = error
        raise refusal or NoQuorum("no voter of the swarm can be reached", "try again once one is connected")

    async def _ask(self, node: NodeId, question: Question, kind: type[A]) -> A:
        payload = await self._lines.call(node, questions.encode(question), ANSWER_SECONDS)
        return questions.answer(payload, kind)

    # -- learning

    async def _run(self) -> None:
        while True:
            rang = await self._bell.heard(LEARN_SECONDS)
            asked, self._asked = self._asked, set()
            if not self.votes and (not rang or not asked):
                asked |= self._lines.connected()
            for node in sorted(asked):
                await self._learn(node)

    async def state_of(self, node: NodeId) -> StateAnswer:
        """What a linked node has come to; Unavailable, InvalidFrame."""
        standing = self._council.standing
        return await self._ask(node, AskState(standing.swarm, standing.epoch, self._machine.applied), StateAnswer)

    async def _learn(self, node: NodeId) -> None:
        try:
            await self._take(await self.state_of(node))
        except (Unavailable, InvalidFrame) as error:
            # Among others one of a swarm that has just let this node go, which its farewell tells.
            log.debug("state not taken node=%s reason=%s", node, error)

    async def _take(self, said: StateAnswer) -> None:
        swarm, epoch = self._council.standing.swarm, self._council.standing.epoch
        if said.swarm != swarm:
            return
        if said.epoch == epoch and said.voters and not self.votes:
            self._council.voters_told = frozenset(said.voters)
        if not said.state or not is_epoch(said.epoch):
            return
        if said.epoch > epoch:
            await self.on_later(said)
        elif said.epoch == epoch and not self.votes and said.step > self._machine.applied:
            await self.on_learned(said)


async def _nothing(said: StateAnswer) -> None:
    """Nobody has asked to hear of it yet."""

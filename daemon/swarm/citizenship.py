"""How this node changes its swarm: lets a node in, goes into another swarm, leaves, removes, forms consensus anew.

Each change of standing is one transaction with the state that goes with it, made while no consensus runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.daemon.swarm import commands, machine_state, questions
from hiveminddb.daemon.swarm.beginning import take_over
from hiveminddb.daemon.swarm.commands import AddMember, RemoveMember, RenameMember
from hiveminddb.daemon.swarm.council import Council, Turn
from hiveminddb.daemon.swarm.deputy import Deputy
from hiveminddb.daemon.swarm.machine import Machine, leap
from hiveminddb.daemon.swarm.machine_state import State
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.news import News
from hiveminddb.daemon.swarm.questions import StateAnswer, Welcome
from hiveminddb.daemon.swarm.standing import Standing, alone, is_epoch, later, learning, put_origin, put_standing
from hiveminddb.errors import Conflict, InvalidFrame, NoQuorum, OutcomeUnknown, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.store import commits, directory, topic_files
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow
from hiveminddb.store.machine import progress
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import pairing
from hiveminddb.sync.address import Address
from hiveminddb.sync.antientropy import Have
from hiveminddb.sync.pairing import Introduction

log = logging.getLogger(__name__)

# A voter is let go within a second or two, where there is a quorum.
LET_GO_SECONDS = 15.0
STILL_SECONDS = 0.25


class Neighbourhood(Protocol):
    """Who is linked, where members were reached, and the call for changes of it."""

    def connected(self) -> frozenset[NodeId]: ...

    def told(self) -> Mapping[NodeId, Have]: ...

    def addresses(self) -> Mapping[NodeId, Sequence[Address]]: ...

    def seek(self, known: Mapping[NodeId, Sequence[Address]]) -> None:
        """Members may be reached there."""
        ...

    async def nudge(self, nodes: frozenset[NodeId]) -> None:
        """Linked nodes should look what is new."""
        ...


class Citizenship:
    """The changes of membership that this node makes, asks for, or goes along with."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        name: str,
        members: Members,
        database: Database,
        council: Council,
        machine: Machine,
        deputy: Deputy,
        around: Neighbourhood,
        news: News,
    ) -> None:
        self._me, self._key, self._name = members.me, key.public_key().public_bytes_raw(), name
        self._members, self._database, self._council = members, database, council
        self._machine, self._deputy, self._around, self._news = machine, deputy, around, news
        self._moving = asyncio.Lock()
        # Whom to tell that this node stands in another swarm, or in another way, from now on.
        self.on_moved: Callable[[Standing], Awaitable[None]] = _nobody

    # -- joining

    async def introduce(self) -> Introduction:
        """This node, as it presents itself to another."""
        memories = (await self._database.read(topic_files.counts))[0]
        token = (await self._database.read(progress)).token
        name, nodes = self._members.name_of(self._me), max(1, len(self._members.rows))
        return Introduction(self._me, self._key, name, self._council.standing.swarm, memories, nodes, token)

    async def admit(self, guest: Introduction) -> bytes:
        """Makes the guest a member; what it begins with. NoQuorum, Conflict."""
        if guest.nodes > 1 and guest.swarm != self._council.standing.swarm:
            raise Conflict(f"{guest.name} is in a swarm of {guest.nodes}", "`hmd swarm leave` there first")
        if guest.node in self._members:
            # It begins with an empty log, and must not count as one that has what it acknowledged before.
            await self.remove(guest.node)
        role = await self._deputy.decide(
            AddMember(commands.new_id(), guest.node, guest.key, guest.name[:100], "voter", guest.token)
        )
        if role.outcome not in ("done",):
            raise Conflict(f"{guest.name} cannot be let in: {role.outcome} {role.text}", "remove a node first")
        await self._until(lambda: guest.node in self._members, "the new member does not show in the directory")
        step, state = await self._machine.snapshot()
        standing = self._council.standing
        known = {node: [(one.host, one.port) for one in found] for node, found in self._around.addresses().items()}
        welcome = Welcome(standing.swarm, standing.epoch, step, self._machine.term, state, known)
        return questions.encode(welcome)

    async def adopt(self, host: pairing.Introduction, welcome: bytes) -> None:
        """Becomes a member of the host's swarm, with all memories this node has; durable on return."""
        if len(self._members.others) > 0:
            raise Conflict("this node is in a swarm of several", "`hmd swarm leave` first")
        said = questions.answer(welcome, Welcome)
        state = self._checked(said.epoch, said.state)

        def move(tx: Transaction) -> None:
            tx.order.leave()
            machine_state.write(tx, state, said.step, said.term)

        await self._move(lambda step, term: learning(said.swarm, said.epoch, step, term), move)
        self._around.seek({node: [Address(*one) for one in found] for node, found in said.addresses.items()})
        log.info("swarm joined swarm=%s by=%s nodes=%d", said.swarm, host.node, len(state.nodes))

    async def follow(self, said: StateAnswer) -> None:
        """Goes along with a consensus that a survivor has formed anew."""
        state = self._checked(said.epoch, said.state)

        def is_wanted(turn: Turn) -> bool:
            return turn.standing.swarm == said.swarm and turn.standing.epoch < said.epoch

        def move(tx: Transaction) -> None:
            # Positions that the survivor had not heard of have been given anew.
            tx.order.leave()
            machine_state.write(tx, state, said.step, said.term)

        await self._move(lambda step, term: learning(said.swarm, said.epoch, step, term), move, is_wanted)
        log.info("consensus formed anew is followed epoch=%s", said.epoch)

    async def learn(self, said: StateAnswer) -> None:
        """The state that voters have come to, for a node that does not vote; one that does keeps to its log."""
        state = self._checked(said.epoch, said.state)

        def is_wanted(turn: Turn) -> bool:
            # What this node has acknowledged, also before it was a voter, it must not throw away.
            ahead = said.step > self._machine.applied and said.step >= turn.last
            is_ours = (turn.standing.swarm, turn.standing.epoch) == (said.swarm, said.epoch)
            # That it has been made a voter a node hears by its log alone, which a state from after that would replace.
            votes = self._me in turn.voters or (self._me in said.voters and not turn.standing.barred)
            return is_ours and not votes and ahead

        await self._move(
            lambda step, term: learning(said.swarm, said.epoch, step, term, self._council.standing.barred),
            lambda tx: machine_state.write(tx, state, said.step, said.term),
            is_wanted,
        )

    # -- a log that is older than what was acknowledged

    async def bar(self, origin: NodeId) -> None:
        """This node takes no part in its consensus until `clear`; nothing where it is alone."""
        before = self._council.standing

        def move(tx: Transaction) -> None:
            tx.cede()
            put_origin(tx, origin)

        await self._move(
            lambda step, term: learning(before.swarm, before.epoch, step, term, barred=True),
            move,
            lambda turn: bool(self._members.others) and turn.standing == before,
        )

    async def clear(self, voters: Sequence[NodeId] = ()) -> None:
        """It takes part again: as one that the others may make a voter, or at once with these."""
        before = self._council.standing
        await self._move(
            lambda step, term: Standing(before.swarm, before.epoch, tuple(voters), step, term),
            lambda tx: None,
            lambda turn: turn.standing == before and before.barred,
        )
        log.info("this node takes part in consensus again")

    # -- going

    async def leave(self) -> None:
        """This node becomes a swarm of one, with all it has; NoQuorum where the others cannot be told."""
        if not self._members.others:
            raise Conflict("this node is alone already", "nothing needs to be done")
        try:
            await self._let_go(self._me)
        except NoQuorum as error:
            raise NoQuorum(
                error.message, "connect them and try again; hmd swarm recover makes this machine a swarm of its own now"
            ) from error
        if not self._is_left_to_decide():
            try:
                await self._expel(self._me)
            except (OutcomeUnknown, Unavailable) as error:
                # Who decided it may have hung up before it answered: this node's vote is gone, so it can go.
                log.info("leaving unanswered reason=%s", error)
        await self.go_alone()

    async def go_alone(self) -> None:
        """A new swarm of one, with the memories and the order this node has; nothing where it is one already."""

        def move(tx: Transaction) -> None:
            member = directory.node(tx.connection, self._me)
            name = member.name if member else self._members.own_name or self._name
            directory.replace_nodes(tx.connection, [NodeRow(self._me, self._key, name, "voter", 0)])
            take_over(tx)

        await self._move(lambda step, term: alone(self._me, step, term), move, lambda turn: bool(self._members.others))
        await self._until(lambda: self._council.leads, "this node does not lead its own swarm yet")
        log.info("this node is a swarm of one")

    async def remove(self, node: NodeId) -> None:
        """A member becomes a stranger; NoQuorum where that cannot be decided."""
        await self._let_go(node)
        await self._expel(node)
        await self._members.reload()

    async def rename(self, name: str) -> None:
        """This node's name; Conflict where another bears it."""

        async def bears_it() -> bool:
            return self._members.own_name == name

        result = await self._deputy.decide(RenameMember(commands.new_id(), self._me, name))
        if result.outcome == "taken":
            raise Conflict(f"the name {name} belongs to {self._members.name_of(NodeId(result.text))}", "choose another")
        await self._members.reload()
        # A learner hears of it a moment later, and would leave under its former name.
        await self._news.until(bears_it, LET_GO_SECONDS)

    async def recover(self) -> None:
        """Consensus of this node and those linked with it, without the rest; Conflict where it is not needed."""
        if self._council.has_quorum:
            raise Conflict("the swarm has a quorum", "remove a lost node with `hmd swarm remove NODE`")
        here = self._around.connected()
        mine = await self._database.read(commits.last_seq)
        ahead = [node for node, has in self._around.told().items() if node in here and has.ordered > mine]
        if ahead:
            name = self._members.name_of(max(ahead, key=lambda node: self._around.told()[node].ordered))
            raise Conflict(f"{name} knows more of the swarm's order", f"run `hmd swarm recover` on {name}")
        survivors = [self._row(self._me), *(row for row in self._members.others if row.id in here)]

        def move(tx: Transaction) -> None:
            directory.replace_nodes(tx.connection, survivors)
            leap(tx)
            take_over(tx)

        before = self._council.standing
        await self._move(lambda step, term: later(before, self._me, step, term), move)
        await self._until(lambda: self._council.leads, "this node does not lead its own swarm yet")
        log.warning("consensus formed anew nodes=%d epoch=%s", len(survivors), self._council.standing.epoch)
        await self._around.nudge(here)

    # -- how

    async def _let_go(self, node: NodeId) -> None:
        """The leader takes a node's vote from it; a node that does not vote itself cannot see when that is done."""
        votes = self._deputy.votes
        if votes and node not in self._council.voters:
            return
        row = self._row(node)
        await self._deputy.decide(AddMember(commands.new_id(), row.id, row.public_key, row.name, "learner"))
        if not votes:
            return
        await self._until(
            lambda: node not in self._council.voters or (node == self._me and self._is_left_to_decide()),
            f"{row.name} still votes",
        )

    async def _expel(self, node: NodeId) -> None:
        """Decides that a node is a member no longer; Conflict where it keeps its vote."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LET_GO_SECONDS
        while True:
            try:
                await self._deputy.decide(RemoveMember(commands.new_id(), node))
                return
            except Conflict:
                if loop.time() > end:
                    raise
            await asyncio.sleep(STILL_SECONDS)

    def _is_left_to_decide(self) -> bool:
        """Whether this node alone votes and nobody else is to: all others are on their way out as well."""
        return self._council.voters == {self._me} and not any(row.role == "voter" for row in self._members.others)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        async def holds() -> bool:
            return condition()

        if not await self._news.until(holds, LET_GO_SECONDS):
            raise Unavailable(what, "try again in a moment")

    async def _move(
        self,
        standing_at: Callable[[int, int], Standing],
        work: Callable[[Transaction], None],
        is_wanted: Callable[[Turn], bool] = lambda turn: True,
    ) -> None:
        """The work, and the standing that begins with the step and term it leaves; both or neither."""
        made: list[Standing] = []

        def move(tx: Transaction) -> None:
            work(tx)
            at = progress(tx.connection)
            made[:] = [standing_at(at.step, at.term)]
            put_standing(tx, made[0])

        async with self._moving:
            async with self._council.changing() as turn:
                if is_wanted(turn):
                    await self._machine.restart(move)
                    turn.standing = made[0]
            await self.on_moved(turn.standing)

    def _checked(self, epoch: str, state: bytes) -> State:
        read = machine_state.decode(state)
        if not is_epoch(epoch) or self._me not in {row.id for row in read.nodes}:
            raise InvalidFrame("a swarm that does not know this node", "ask for a new code with `hmd invite`")
        return read

    def _row(self, node: NodeId) -> NodeRow:
        return self._members.named(node)


async def _nobody(standing: Standing) -> None:
    """Nobody is told."""

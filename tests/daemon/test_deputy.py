"""What one node answers another, and whom it asks; the other ends of the lines are played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.daemon.swarm import commands, questions
from hiveminddb.daemon.swarm.citizenship import Citizenship
from hiveminddb.daemon.swarm.commands import Release, RemoveMember, new_id
from hiveminddb.daemon.swarm.council import Council
from hiveminddb.daemon.swarm.deputy import Deputy
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.members import Members
from hiveminddb.daemon.swarm.news import News
from hiveminddb.daemon.swarm.questions import AskDecision, AskState, DecisionAnswer, Farewell, StateAnswer
from hiveminddb.daemon.swarm.standing import Standing, alone, learning
from hiveminddb.errors import Conflict, InvalidFrame, NoQuorum
from hiveminddb.model import NodeId
from hiveminddb.store import directory
from hiveminddb.store.database import Database
from hiveminddb.store.directory import NodeRow
from hiveminddb.sync.address import Address
from hiveminddb.sync.antientropy import Have
from tests.daemon.stepping import NODES, absorb

pytestmark = pytest.mark.anyio

ME, ONE, OTHER = map(NodeId, NODES)
EARLIER = "00000000-" + "0" * 20


@dataclass
class Lines:
    """Whoever is linked says that it does not vote, but for those who do."""

    voting: frozenset[NodeId] = frozenset()
    linked: frozenset[NodeId] = frozenset()
    asked: list[NodeId] = field(default_factory=list)
    state: StateAnswer = field(default_factory=lambda: StateAnswer("", "", 0, 0, b"", []))

    def connected(self) -> frozenset[NodeId]:
        return self.linked

    def send(self, peer: NodeId, payload: bytes) -> bool:
        return False

    async def call(self, peer: NodeId, payload: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        asked = questions.question(payload)
        if not isinstance(asked, AskDecision):
            return questions.encode(self.state)
        self.asked.append(peer)
        if peer not in self.voting:
            raise NoQuorum("the node asked does not vote", "try again in a moment")
        return questions.encode(DecisionAnswer("done", 7, "", 3))


class Around:
    """Nobody is there, and nobody needs to be told."""

    def connected(self) -> frozenset[NodeId]:
        return frozenset()

    def told(self) -> Mapping[NodeId, Have]:
        return {}

    def addresses(self) -> Mapping[NodeId, Sequence[Address]]:
        return {}

    def seek(self, known: Mapping[NodeId, Sequence[Address]]) -> None:
        pass

    async def nudge(self, nodes: frozenset[NodeId]) -> None:
        pass


@dataclass
class Node:
    members: Members
    database: Database
    council: Council
    machine: Machine
    deputy: Deputy

    async def state(self, swarm: str, epoch: str) -> StateAnswer:
        said = await self.deputy.answer(ONE, questions.encode(AskState(swarm, epoch, 0)))
        return questions.answer(said, StateAnswer)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def node(stack: AsyncExitStack, folder: Path, standing: Standing, lines: Lines) -> Node:
    database = await stack.enter_async_context(Database(folder / "x.db"))
    rows = [NodeRow(id, b"k" * 32, id, role, 0) for id, role in ((ME, "voter"), (ONE, "voter"), (OTHER, "learner"))]
    await database.write(lambda tx: directory.replace_nodes(tx.connection, rows))
    members = Members(ME, database)
    await members.reload()
    machine = await stack.enter_async_context(Machine(database, absorb))

    async def without_log() -> Standing:
        raise NotImplementedError

    council = await stack.enter_async_context(Council(ME, folder, standing, machine, lines, without_log))
    deputy = await stack.enter_async_context(Deputy(members, database, council, machine, lines, News()))
    return Node(members, database, council, machine, deputy)


async def test_a_state_is_told_to_those_of_the_same_swarm_that_are_of_an_earlier_epoch(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    standing = alone(ME)
    here = await node(stack, tmp_path, standing, Lines())
    assert (await here.state(standing.swarm, EARLIER)).state
    assert not (await here.state("another", EARLIER)).state
    assert not (await here.state(standing.swarm, "9" + standing.epoch[1:])).state


async def test_a_node_that_is_changing_its_swarm_tells_no_state(stack: AsyncExitStack, tmp_path: Path) -> None:
    standing = alone(ME)
    here = await node(stack, tmp_path, standing, Lines())
    async with here.council.changing() as turn:
        with pytest.raises(NoQuorum):
            await here.state(standing.swarm, EARLIER)
        turn.standing = alone(ME)
    assert not (await here.state(standing.swarm, EARLIER)).state
    assert (await here.state(turn.standing.swarm, EARLIER)).state


async def test_a_state_is_told_with_those_who_vote_once_it_is_taken(
    stack: AsyncExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await node(stack, tmp_path, learning("s" * 20, EARLIER, 0, 0), Lines())
    taken = here.machine.snapshot

    async def meanwhile() -> tuple[int, bytes]:
        found = await taken()
        here.council.voters_told = frozenset({ONE, OTHER})
        return found

    monkeypatch.setattr(here.machine, "snapshot", meanwhile)
    asked = AskState("s" * 20, EARLIER, -1)
    said = questions.answer(await here.deputy.answer(ONE, questions.encode(asked)), StateAnswer)
    assert said.state and set(said.voters) == {ONE, OTHER}


async def test_who_has_just_been_made_a_voter_does_not_replace_its_log_by_a_state(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    here = await node(stack, tmp_path, learning("s" * 20, EARLIER, 0, 0), Lines())
    citizenship = Citizenship(
        Ed25519PrivateKey.generate(), "me", here.members, here.database, here.council, here.machine, here.deputy,
        Around(), News(),
    )  # fmt: skip
    _, state = await here.machine.snapshot()
    await citizenship.learn(StateAnswer("s" * 20, EARLIER, 5, 1, state, [OTHER, ME]))
    assert here.machine.applied == 0
    await citizenship.learn(StateAnswer("s" * 20, EARLIER, 5, 1, state, [OTHER]))
    assert here.machine.applied == 5


async def test_a_state_that_does_not_know_this_node_is_passed_over(
    stack: AsyncExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = Lines(state=StateAnswer("s" * 20, EARLIER, 9, 1, b"state", [ONE]), linked=frozenset({ONE}))
    here = await node(stack, tmp_path, learning("s" * 20, EARLIER, 0, 0), lines)
    told: asyncio.Queue[StateAnswer] = asyncio.Queue()

    async def refuse(said: StateAnswer) -> None:
        told.put_nowait(said)
        raise InvalidFrame("a swarm that does not know this node")

    here.deputy.on_learned = refuse
    async with asyncio.timeout(180):
        for _ in range(2):
            here.deputy.peer_up(ONE)
            assert (await told.get()).step == 9
    assert "part failed" not in caplog.text


async def test_who_was_let_in_again_takes_no_notice_of_an_earlier_farewell(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    standing = alone(ME)
    here, heard = await node(stack, tmp_path, standing, Lines()), list[int]()
    await here.deputy.decide(Release(new_id(), "key", 1))
    now = here.machine.applied
    assert now > 0
    for swarm, epoch, step in (
        (standing.swarm, standing.epoch, now),
        (standing.swarm, EARLIER, 99),
        ("another", standing.epoch, 99),
        (standing.swarm, standing.epoch, 99),
        (standing.swarm, "9" + standing.epoch[1:], 0),
    ):
        here.deputy.on_farewell = lambda step=step: heard.append(step)  # type: ignore[misc]
        await here.deputy.answer(ONE, questions.encode(Farewell(swarm, epoch, step)))
    assert heard == [99, 0]


async def test_a_member_is_not_put_out_while_it_votes(stack: AsyncExitStack, tmp_path: Path) -> None:
    here = await node(stack, tmp_path, alone(ME), Lines())
    out = RemoveMember(new_id(), ME)
    with pytest.raises(Conflict, match="still votes"):
        await here.deputy.decide(out)
    with pytest.raises(Conflict, match="still votes"):
        await here.deputy.answer(ONE, questions.encode(AskDecision(commands.encode(out))))
    assert (await here.deputy.decide(RemoveMember(new_id(), ONE))).outcome == "done"


async def test_one_that_shall_not_vote_any_more_is_asked_too_and_last(stack: AsyncExitStack, tmp_path: Path) -> None:
    lines = Lines(voting=frozenset({OTHER}), linked=frozenset({ONE, OTHER}))
    here = await node(stack, tmp_path, learning("s" * 20, EARLIER, 0, 0), lines)
    result = await here.deputy.decide(Release(new_id(), "key", 1))
    assert (result.outcome, result.number, lines.asked) == ("done", 7, [ONE, OTHER])

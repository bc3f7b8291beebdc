"""What peers say, taken in with a real database: changes always, positions of the same consensus only."""

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon import intake
from hiveminddb.daemon.commits import Commits
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.recall import IndexInUse
from hiveminddb.daemon.swarm import knowledge
from hiveminddb.daemon.swarm.arrivals import Arrivals
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.standing import learning, put_standing
from hiveminddb.daemon.tails import Tails
from hiveminddb.model import NodeId
from hiveminddb.store import changes, commits
from hiveminddb.store.database import Database
from hiveminddb.store.index import Index
from hiveminddb.sync.antientropy import Batch, Run, Want, sent
from hiveminddb.sync.clock import Clock
from hiveminddb.vault.topics import Topics
from tests.daemon.stepping import NODES, absorb, change
from tests.store.making import share

pytestmark = pytest.mark.anyio

HERE, ELSEWHERE = "00000001-" + "a" * 20, "00000002-" + "b" * 20
PEER = NodeId(NODES[1])


async def test_changes_are_taken_of_every_peer_and_positions_of_those_in_the_same_epoch(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database, Machine(database, absorb) as machine:
        await database.write(share)
        await database.write(lambda tx: put_standing(tx, learning("swarm", HERE, 0, 0)))
        index = await database.read(Index.load)
        pipeline = Pipeline(NodeId(NODES[0]), Clock(), Commits(IndexInUse(index, ""), Tails()))
        arrivals = Arrivals(database, Intake(pipeline, Topics()), machine, lambda: False)
        told, runs = [sent(change(PEER, 1)), sent(change(PEER, 2))], [Run(1, PEER, 1, 2)]
        await arrivals.take(Batch(told, runs, False, ELSEWHERE))
        assert (await database.read(changes.version_vector), await database.read(commits.last_seq)) == ({PEER: 2}, 0)
        await arrivals.take(Batch(told, runs, False, HERE))
        assert await database.read(commits.last_seq) == 2
        asked = await database.read(lambda db: knowledge._batch(Want({}, 0, ELSEWHERE), db))
        assert (len(asked.changes), asked.runs, asked.epoch) == (2, [], HERE)
        assert (await database.read(lambda db: knowledge._batch(Want({}, 0, HERE), db))).runs == runs


async def test_what_consensus_had_ordered_too_early_follows_what_a_peer_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AT_ONCE", 2)
    async with Database(tmp_path / "x.db") as database, Machine(database, absorb) as machine:
        await database.write(share)
        await database.write(lambda tx: put_standing(tx, learning("swarm", HERE, 0, 0)))
        index = await database.read(Index.load)
        pipeline = Pipeline(NodeId(NODES[0]), Clock(), Commits(IndexInUse(index, ""), Tails()))
        taker = Intake(pipeline, Topics())
        early = [change(PEER, n) for n in range(2, 9)]
        await database.write(lambda tx: taker.take(tx, early, ordered=True))
        await Arrivals(database, taker, machine, lambda: False).take(Batch([sent(change(PEER, 1))], [], False, HERE))
        assert await database.read(changes.version_vector) == {PEER: 8}

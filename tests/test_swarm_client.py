from __future__ import annotations

from collections.abc import Iterator

import pytest

from hiveminddb import AsyncHiveMind, Conflict, HiveMind, InvalidInput, Lease, NotFound, Register
from tests.daemon.fake_swarm import PEER, SEEN
from tests.daemon.served import Served, served


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture
def mind(server: Served) -> Iterator[HiveMind]:
    with HiveMind(f"http://127.0.0.1:{server.port}") as connected:
        yield connected


def test_the_swarm_comes_back_with_its_nodes_and_their_times(mind: HiveMind) -> None:
    swarm = mind.swarm()
    assert (swarm.state, swarm.name, swarm.pending, len(swarm.nodes)) == ("together", "desk", 2, 2)
    away = swarm.nodes[1]
    assert (away.id, away.online, away.last_seen, away.lag) == (PEER, False, SEEN, 3)
    assert mind.status().swarm.state == "alone"


def test_an_invite_is_made_watched_and_ended(mind: HiveMind) -> None:
    with pytest.raises(NotFound):
        mind.invited()
    assert mind.invite() == mind.invited()
    mind.end_invite()
    assert (mind.invited().code, mind.invited().state) == ("7-walnut-anchor", "ended")


def test_a_join_is_looked_at_and_then_made_or_not(mind: HiveMind, server: Served) -> None:
    seen = mind.look("7-walnut-anchor")
    assert (seen.name, seen.memories_there) == ("laptop", 5)
    assert mind.join().nodes == 2
    mind.look("7-walnut-anchor")
    mind.hang_up()
    with pytest.raises(Conflict):
        mind.join()
    assert server.cases.swarm.asked[-2:] == ["join False", "join True"]


def test_nodes_are_renamed_and_removed(mind: HiveMind, server: Served) -> None:
    assert mind.rename("studio").name == "studio"
    mind.remove_node("my laptop/2")
    mind.leave()
    mind.recover()
    assert server.cases.swarm.asked == ["rename studio", "remove my laptop/2", "leave", "recover"]


@pytest.mark.parametrize("key", ["db", "deploy/db", "..", "a?b#c%", "ключ"])
def test_a_lease_and_a_register_of_any_name(mind: HiveMind, key: str) -> None:
    lease = mind.lease(key, "me", ttl_s=5)
    assert lease == mind.held(key) == mind.renew(key, lease.token) == Lease(key, "me", lease.token, 5.0)
    assert mind.leases(consistency="linearizable") == [lease]
    mind.release(key, lease.token)
    with pytest.raises(Conflict):
        mind.release(key, lease.token)
    assert mind.set_register(key, "a", version=0) == mind.register(key) == Register(key, "a", 1)
    assert mind.set_register(key, "b", expected="a").version == 2


def test_writes_and_reads_carry_what_was_asked_of_them(mind: HiveMind, server: Served) -> None:
    memory = mind.add("x", ack="quorum")
    mind.add_many(["y"], ack="local")
    mind.update(memory.id, append="z", ack="quorum")
    mind.forget(memory.id, ack="local")
    mind.restore(memory.id, ack="quorum")
    mind.forget_topic("x", ack="local")
    assert mind.restore_topic("x", ack="quorum").status == "committed"
    mind.import_files([], ack="local")
    assert server.cases.acks == ["quorum", "local"] * 4
    mind.get(memory.id, consistency="linearizable")
    mind.list(consistency="linearizable")
    mind.search("x", consistency="linearizable")
    mind.search_many(["x"], consistency="linearizable")
    mind.history(memory.id, consistency="linearizable")
    mind.topics(consistency="linearizable")
    mind.topic("x", consistency="linearizable")
    mind.lines("x", consistency="linearizable")
    mind.changes(consistency="linearizable")
    assert server.cases.swarm.barriers == 9
    with pytest.raises(InvalidInput, match="ack: 'maybe' is not one of local, auto, quorum"):
        mind.add("x", ack="maybe")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_the_async_client_does_the_same(server: Served) -> None:
    async with AsyncHiveMind(f"http://127.0.0.1:{server.port}") as mind:
        lease = await mind.lease("db", "me")
        await mind.release("db", lease.token)
        assert (await mind.swarm()).leader is not None
        assert (await mind.add("x", ack="quorum")).status == "committed"

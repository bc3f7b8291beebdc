from __future__ import annotations

import asyncio
from functools import partial

import pytest

from hiveminddb.errors import Conflict, InvalidFrame, OutcomeUnknown, TooLarge, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.calls import MAX_RUNNING, Calls
from hiveminddb.sync.frames import MAX_PAYLOAD, Channel
from hiveminddb.sync.link import INBOX_BYTES
from tests.sync.meeting import Peer, both_linked, linked_pair, peers, until

pytestmark = pytest.mark.anyio


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})], ids=["uvloop", "asyncio"]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


async def test_two_members_link_and_hear_each_other_in_order() -> None:
    async with linked_pair() as (low, high):
        for number in range(100):
            assert low.links.send(high.node, Channel.RAFT, b"%d" % number)
        assert high.links.send(low.node, Channel.KNOWLEDGE, b"back")
        await until(lambda: len(high.heard) == 100 and low.heard)
        assert high.heard == [(low.node, Channel.RAFT, b"%d" % number) for number in range(100)]
        assert low.heard == [(high.node, Channel.KNOWLEDGE, b"back")]
        assert low.news == [("up", high.node)] and high.news == [("up", low.node)]


async def test_a_link_that_breaks_is_told_and_made_again() -> None:
    async with linked_pair() as (low, high):
        low.links._links[high.node].connection.drop("a test")
        await until(lambda: low.news == [("up", high.node), ("down", high.node), ("up", high.node)])
        await until(lambda: high.news == [("up", low.node), ("down", low.node), ("up", low.node)])


async def test_both_dial_at_once_and_one_link_is_left_without_flapping() -> None:
    for _ in range(10):
        async with peers(2) as (low, high):
            low.seek(high)
            high.seek(low)
            await until(partial(both_linked, low, high))
            await asyncio.sleep(0.02)
            assert low.news == [("up", high.node)] and high.news == [("up", low.node)]
            assert low.links.send(high.node, Channel.RAFT, b"x")
            await until(partial(len, high.heard))


async def test_links_go_over_ipv6() -> None:
    async with peers(2) as (low, high):
        try:
            address = await high.links.listen(Address("::1", 0))
        except OSError:
            pytest.skip("no IPv6 in this machine")
        low.links.seek(high.node, [address])
        await until(lambda: low.linked(high))


async def test_everywhere_is_both_families() -> None:
    async with peers(3) as (one, two, three):
        address = await one.links.listen(Address("0.0.0.0", 0))
        two.links.seek(one.node, [Address("127.0.0.1", address.port)])
        three.links.seek(one.node, [Address("localhost", address.port)])
        await until(lambda: one.linked(two, three))


async def test_a_static_address_reaches_whoever_is_a_member_there_and_not_oneself() -> None:
    async with peers(2) as (low, high):
        high.links.seek(None, [low.address, high.address])
        await until(lambda: high.linked(low))
        low.links._links[high.node].connection.drop("a test")
        await until(lambda: len(low.news) == 3 and low.linked(high))


async def test_who_is_sought_before_it_is_trusted_is_reached_once_it_is() -> None:
    async with Peer().open() as one, Peer().open() as two:
        two.trust(one)
        one.seek(two)
        assert not one.links.connected()
        one.trust(two)
        await until(lambda: one.linked(two))


async def test_large_messages_arrive_whole_and_too_large_ones_are_refused_here() -> None:
    async with linked_pair() as (low, high):
        payload = bytes(range(256)) * (MAX_PAYLOAD // 256)
        assert low.links.send(high.node, Channel.KNOWLEDGE, payload)
        await until(lambda: high.heard)
        assert high.heard == [(low.node, Channel.KNOWLEDGE, payload)]
        with pytest.raises(InvalidFrame, match="payload of"):
            low.links.send(high.node, Channel.KNOWLEDGE, payload + b"x")


async def test_a_peer_that_comes_back_on_another_port_is_found_there_at_once() -> None:
    async with peers(1) as (one,):
        other = Peer()
        async with other.open():
            other.trust(one)
            one.trust(other)
            one.seek(other)
            await until(lambda: one.linked(other))
        await until(lambda: not one.links.connected())
        old = other.address
        async with other.open():
            assert other.address != old
            one.seek(other)
            await until(lambda: one.linked(other) and other.linked(one))


async def test_a_peer_that_comes_back_dials_those_it_knows_and_is_let_in() -> None:
    async with peers(1) as (one,):
        other = Peer()
        for _ in range(2):
            async with other.open():
                other.trust(one)
                one.trust(other)
                other.seek(one)
                await until(lambda: one.linked(other) and other.linked(one))
        assert [kind for kind, _ in one.news[:3]] == ["up", "down", "up"]


async def test_nodes_of_another_swarm_do_not_link() -> None:
    async with Peer().open(swarm_tag="red") as red, Peer().open(swarm_tag="blue") as blue:
        red.trust(blue)
        blue.trust(red)
        red.seek(blue)
        blue.seek(red)
        await asyncio.sleep(0.3)
        assert not red.links.connected() and not blue.links.connected()
        blue.links.swarm_tag = "red"
        await until(lambda: red.linked(blue))


async def test_nothing_is_sent_where_there_is_no_link() -> None:
    async with peers(2) as (low, high):
        assert not low.links.send(high.node, Channel.RAFT, b"x")
        assert not low.links.send(NodeId("nobody"), Channel.RAFT, b"x")
        with pytest.raises(Unavailable, match="no link to node"):
            await low.links.call(high.node, b"x", 1.0)


async def _answer(node: NodeId, question: bytes) -> bytes:
    if question == b"refuse":
        raise Conflict("not now", "later")
    if question == b"hang":
        await asyncio.sleep(60)
    if question == b"slow":
        await asyncio.sleep(0.05)
    return node.encode() + b" asked " + question


async def test_calls_are_answered_each_its_own_and_in_whatever_order() -> None:
    async with linked_pair(answer=_answer) as (low, high):
        questions = [b"slow", *(b"%d" % number for number in range(50))]
        answers = await asyncio.gather(*(low.links.call(high.node, question, 5.0) for question in questions))
        assert answers == [low.node.encode() + b" asked " + question for question in questions]
        assert await high.links.call(low.node, b"?", 5.0) == high.node.encode() + b" asked ?"


async def test_a_refusal_is_raised_where_it_was_asked() -> None:
    async with linked_pair(answer=_answer) as (low, high):
        with pytest.raises(Conflict, match="not now") as caught:
            await low.links.call(high.node, b"refuse", 5.0)
        assert caught.value.hint == "later"


async def test_a_call_without_an_answer_says_that_the_outcome_is_unknown() -> None:
    async with linked_pair(answer=_answer) as (low, high):
        with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.02 s"):
            await low.links.call(high.node, b"hang", 0.02)
        asked = asyncio.create_task(low.links.call(high.node, b"hang", 30.0))
        await asyncio.sleep(0.02)
        high.links._links[low.node].connection.drop("a test")
        with pytest.raises(OutcomeUnknown, match="the link broke"):
            await asked


async def test_a_node_that_answers_nothing_says_so() -> None:
    async with linked_pair() as (low, high):
        with pytest.raises(Unavailable, match="nobody answers here"):
            await low.links.call(high.node, b"?", 5.0)


async def test_a_slow_handler_keeps_its_order_and_delays_no_other_channel() -> None:
    release = asyncio.Event()
    known: list[bytes] = []

    async def learn(node: NodeId, payload: bytes) -> None:
        await release.wait()
        known.append(payload)

    async with linked_pair(handlers={Channel.KNOWLEDGE: learn}) as (low, high):
        for number in range(5):
            low.links.send(high.node, Channel.KNOWLEDGE, b"%d" % number)
        low.links.send(high.node, Channel.RAFT, b"urgent")
        await until(lambda: high.heard)
        assert not known
        release.set()
        await until(lambda: len(known) == 5)
        assert known == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_handler_that_finds_garbage_ends_the_link() -> None:
    def refuse(node: NodeId, payload: bytes) -> None:
        raise InvalidFrame("garbage")

    async def refuse_later(node: NodeId, payload: bytes) -> None:
        await asyncio.sleep(0)
        raise InvalidFrame("garbage")

    async with linked_pair(handlers={Channel.RAFT: refuse, Channel.KNOWLEDGE: refuse_later}) as (low, high):
        for channel in (Channel.RAFT, Channel.KNOWLEDGE):
            high.news.clear()
            assert low.links.send(high.node, channel, b"x")
            await until(lambda: ("down", low.node) in high.news)
            await until(lambda: low.linked(high) and high.linked(low))


async def test_what_is_said_at_once_when_a_link_comes_up_arrives() -> None:
    async with peers(2) as (low, high):
        low.says_first, high.says_first = b"from low", b"from high"
        high.seek(low)
        await until(lambda: low.heard and high.heard)
        assert low.heard == [(high.node, Channel.RAFT, b"from high")]
        assert high.heard == [(low.node, Channel.RAFT, b"from low")]


async def test_many_that_all_dial_each_other_end_with_one_link_a_pair_that_came_up_once() -> None:
    async with peers(5) as nodes:
        for one in nodes:
            for other in nodes:
                one.seek(other)
                one.links.seek(None, [other.address])
        await until(lambda: all(one.linked(*(other for other in nodes if other is not one)) for one in nodes))
        await asyncio.sleep(0.05)
        assert [len(one.news) for one in nodes] == [4] * 5


async def test_a_link_that_never_holds_is_dialled_with_pauses() -> None:
    def refuse(node: NodeId, payload: bytes) -> None:
        raise InvalidFrame("garbage")

    async with peers(2, handlers={Channel.RAFT: refuse}) as (low, high):
        low.says_first = b"x"
        low.seek(high)
        await asyncio.sleep(1.0)
        ups = low.news.count(("up", high.node))
        assert 2 <= ups <= 10


async def test_a_handler_that_fails_unforeseen_is_reported_and_ends_its_link(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    usual = loop.get_exception_handler()

    def fail(node: NodeId, payload: bytes) -> None:
        raise RuntimeError("a bug")

    async def fail_later(node: NodeId, payload: bytes) -> None:
        raise RuntimeError("another bug")

    loop.set_exception_handler(lambda _, context: reported.append(f"RuntimeError: {context['exception']}"))
    async with linked_pair(handlers={Channel.RAFT: fail, Channel.VECTORS: fail_later}) as (low, high):
        for channel, bug in [(Channel.RAFT, "a bug"), (Channel.VECTORS, "another bug")]:
            high.news.clear()
            assert low.links.send(high.node, channel, b"x")
            await until(lambda: ("down", low.node) in high.news)
            await until(lambda: both_linked(low, high))
            assert f"RuntimeError: {bug}" in caplog.text + " ".join(map(repr, reported))
    loop.set_exception_handler(usual)


async def test_more_than_a_slow_handler_takes_waits_at_the_sender_and_all_arrives() -> None:
    release = asyncio.Event()
    known: list[int] = []

    async def learn(node: NodeId, payload: bytes) -> None:
        await release.wait()
        known.append(int.from_bytes(payload[:4], "big"))

    async with linked_pair(handlers={Channel.KNOWLEDGE: learn}) as (low, high):
        sent = refused = 0
        while refused < 100:
            if low.links.send(high.node, Channel.KNOWLEDGE, sent.to_bytes(4, "big") + bytes(1 << 20)):
                sent, refused = sent + 1, 0
            else:
                refused += 1
                await asyncio.sleep(0.002)
        assert high.links._links[low.node]._held <= INBOX_BYTES + (2 << 20)
        release.set()
        await until(lambda: len(known) == sent)
        assert known == list(range(sent))
        assert low.news == [("up", high.node)]


async def test_too_many_and_too_large_questions_are_refused() -> None:
    async with linked_pair(answer=_answer) as (low, high):
        hanging = [asyncio.create_task(low.links.call(high.node, b"hang", 30.0)) for _ in range(MAX_RUNNING)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many questions"):
            await low.links.call(high.node, b"one more", 5.0)
        for task in hanging:
            task.cancel()
    async with linked_pair(answer=_answer) as (low, high):
        with pytest.raises(TooLarge):
            await low.links.call(high.node, bytes(MAX_PAYLOAD), 5.0)
        with pytest.raises(TooLarge, match="answer of"):
            await low.links.call(high.node, bytes(MAX_PAYLOAD - 20), 5.0)


@pytest.mark.parametrize("failure", [b"", b"\xc1", b"\x93\xa1\x80\xa0\xa0", b"\x94\xa0\xa0\xa0" + b"\x91" * 5000])
async def test_an_answer_that_is_none_ends_the_link(failure: bytes) -> None:
    asked: list[bytes] = []
    calls = Calls(lambda payload: asked.append(payload) or True, None, asyncio.create_task)  # type: ignore[func-returns-value]
    task = asyncio.create_task(calls.ask(b"?", 5.0))
    await until(lambda: asked)
    with pytest.raises(InvalidFrame, match="not a failure"):
        calls.received(b"\x02" + asked[0][1:9] + failure)
    calls.lost()
    with pytest.raises(OutcomeUnknown):
        await task

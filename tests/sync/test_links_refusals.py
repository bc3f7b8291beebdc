from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.sync import connection, frames, handshake, listener
from hiveminddb.sync.address import Address
from hiveminddb.sync.certificate import contexts
from hiveminddb.sync.frames import MAX_PAYLOAD, Channel
from hiveminddb.sync.hello import VERSION, Hello, encode_hello
from tests.sync.meeting import Peer, both_linked, linked_pair, peers, until

pytestmark = pytest.mark.anyio


def encode(channel: Channel, payload: bytes) -> bytes:
    return b"".join(frames.encode(channel, payload))


HELLO = encode(Channel.HELLO, encode_hello(Hello(VERSION, "", b"instance", 0)))


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})], ids=["uvloop", "asyncio"]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


@asynccontextmanager
async def raw(to: Peer, tls: ssl.SSLContext | None) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that keeps to no rules."""
    name = "" if tls is not None else None
    reader, writer = await asyncio.open_connection(*to.address, ssl=tls, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Reads to the end, which comes."""
    async with asyncio.timeout(180):
        with suppress(ConnectionError, ssl.SSLError):
            while await reader.read(1 << 16):
                pass
    return True


async def test_a_stranger_is_not_let_in_and_nothing_it_says_is_read() -> None:
    async with linked_pair() as (one, two), Peer().open() as stranger:
        stranger.trust(one)
        stranger.seek(one)
        async with raw(one, contexts(stranger.key).dial) as (reader, writer):
            writer.write(HELLO + encode(Channel.RAFT, b"let me in"))
            assert await is_closed(reader)
        assert not stranger.links.connected() and not stranger.news
        assert one.linked(two) and not one.heard


async def test_strangers_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async with Peer().open() as one:
        for _ in range(3):
            async with raw(one, contexts(Ed25519PrivateKey.generate()).dial) as (reader, _):
                assert await is_closed(reader)
    assert caplog.text.count("refused count=1") == 1


async def test_another_key_under_a_known_id_is_refused_on_both_sides() -> None:
    async with Peer().open() as one, Peer().open() as two:
        one.trusts[two.node] = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        two.trust(one)
        one.seek(two)
        two.seek(one)
        async with raw(one, contexts(two.key).dial) as (reader, writer):
            writer.write(HELLO)
            assert await is_closed(reader)
        assert not one.links.connected() and not two.news


async def test_a_man_in_the_middle_is_taken_for_nobody() -> None:
    async with Peer().open() as one, Peer().open() as two, Peer().open() as between:
        one.trust(two)
        two.trust(one)
        between.trust(one, two)
        one.links.seek(two.node, [between.address])
        between.seek(two)
        await until(lambda: "another node answers there" in one.links.complaint(two.node))
        await until(lambda: "closed by the peer" in between.links.complaint(two.node))
        assert not (one.news or two.news or between.news)


async def test_a_member_at_anothers_address_is_not_taken_for_it() -> None:
    async with peers(3) as (one, two, three):
        one.links.seek(two.node, [three.address])
        await until(lambda: "another node answers there" in one.links.complaint(two.node))
        assert not one.links.connected() and not three.links.connected()
        one.seek(two)
        await until(lambda: both_linked(one, two))


async def test_a_removed_node_is_dropped_before_refresh_returns_and_cannot_come_back() -> None:
    async with linked_pair() as (one, two):
        del one.trusts[two.node]
        one.links.refresh()
        assert not one.links.connected() and one.news[-1] == ("down", two.node)
        assert not one.links.send(two.node, Channel.RAFT, b"x")
        await until(lambda: not two.links.connected())
        await until(lambda: "closed by the peer" in two.links.complaint(one.node))
        assert not two.links.connected() and not one.heard


async def test_a_removed_node_is_told_whatever_other_addresses_are_known_of_those_that_refuse_it() -> None:
    async with linked_pair() as (one, two):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = Address("127.0.0.1", closed.getsockname()[1])
            two.links.seek(one.node, [nobody])
            del one.trusts[two.node]
            one.links.refresh()
            await until(lambda: two.links.refused(one.node))


async def test_a_key_that_changed_is_another_node() -> None:
    async with linked_pair() as (one, two):
        one.trusts[two.node] = bytes(32)
        one.links.refresh()
        assert not one.links.connected()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(4096),
        b"\x16\x03\x01\xff\xff" + os.urandom(70000),
        b"\x00",
        b"",
    ],
)
async def test_what_is_no_tls_is_dropped_and_others_do_not_notice(said: bytes) -> None:
    async with linked_pair() as (one, two):
        async with raw(one, None) as (reader, writer):
            writer.write(said)
            writer.write_eof()
            assert await is_closed(reader)
        assert one.links.send(two.node, Channel.RAFT, b"still here")
        await until(lambda: two.heard)
        assert one.news == [("up", two.node)]


@pytest.mark.parametrize(
    "said",
    [
        encode(Channel.RAFT, b"before hello"),
        encode(Channel.HELLO, b"no hello"),
        encode(Channel.HELLO, encode_hello(Hello(VERSION + 1, "", b"", 0))),
        encode(Channel.HELLO, encode_hello(Hello(VERSION, "another swarm", b"", 0))),
        b"\x00\x00\x04\x01\x00",
        b"\xff\xff\xff\xff\xff",
    ],
)
async def test_a_member_that_does_not_say_hello_properly_is_dropped(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 600.0)
    async with Peer().open() as one:
        two = Peer()
        one.trust(two)
        async with raw(one, contexts(two.key).dial) as (reader, writer):
            writer.write(said)
            assert await is_closed(reader)
        assert not one.news and not one.heard


@pytest.mark.parametrize(
    "said",
    [
        HELLO,
        encode(Channel.PAIRING, b"x"),
        (MAX_PAYLOAD + 1).to_bytes(4, "big") + b"\x02",
        b"\x00\x00\x00\x00\x63",
        encode(Channel.CALL, b"x"),
        encode(Channel.CALL, b"\x07" + bytes(8)),
    ],
)
async def test_a_member_that_sends_garbage_loses_its_link_and_others_do_not_notice(said: bytes) -> None:
    async with linked_pair() as (one, two):
        bad = Peer()
        one.trust(bad)
        async with raw(one, contexts(bad.key).dial) as (reader, writer):
            writer.write(HELLO)
            await until(lambda: one.linked(two, bad))
            writer.write(encode(Channel.RAFT, b"good") + said)
            assert await is_closed(reader)
        assert one.heard == [(bad.node, Channel.RAFT, b"good")]
        assert one.linked(two) and ("down", two.node) not in one.news


async def test_a_frame_that_never_ends_is_never_heard() -> None:
    async with Peer().open() as one:
        two = Peer()
        one.trust(two)
        async with raw(one, contexts(two.key).dial) as (_, writer):
            writer.write(HELLO + encode(Channel.RAFT, b"whole") + encode(Channel.RAFT, b"cut short")[:-1])
            await until(lambda: one.heard)
            writer.transport.close()
            await until(lambda: not one.links.connected())
        assert one.heard == [(two.node, Channel.RAFT, b"whole")]


async def test_many_that_say_nothing_keep_no_member_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peers(2) as (one, two):
        monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 600.0)
        silent = []
        for _ in range(listener.MAX_HALF_OPEN + 5):
            silent.append(await asyncio.open_connection(*one.address))
        assert await is_closed(silent[0][0])
        two.seek(one)
        await until(lambda: both_linked(one, two))
        for _, writer in silent:
            writer.transport.abort()


async def test_who_says_nothing_is_given_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 0.2)
    async with Peer().open() as one:
        two = Peer()
        one.trust(two)
        async with raw(one, None) as (before_tls, _), raw(one, contexts(two.key).dial) as (before_hello, _):
            assert await is_closed(before_tls)
            assert await is_closed(before_hello)
        assert not one.news


async def test_a_dialler_gives_up_who_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with peers(2) as (one, two):
            one.links.seek(two.node, [two.address._replace(port=mute.getsockname()[1])])
            await until(lambda: one.links.complaint(two.node))
            one.seek(two)
            await until(lambda: both_linked(one, two))


async def test_a_peer_that_stops_reading_slows_no_other_and_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STUCK_SECONDS", 0.5)
    async with linked_pair() as (one, two):
        stuck = Peer()
        one.trust(stuck)
        async with raw(one, contexts(stuck.key).dial) as (_, writer):
            writer.write(HELLO)
            await until(lambda: one.linked(two, stuck))
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            full = 0
            while full < 100:
                full += not one.links.send(stuck.node, Channel.KNOWLEDGE, bytes(1 << 18))
                assert one.links.send(two.node, Channel.RAFT, b"x")
                await asyncio.sleep(0)
            assert one.links.send(stuck.node, Channel.RAFT, b"urgent has a queue of its own")
            await until(lambda: len(two.heard) > 100)
            while one.linked(two, stuck):
                writer.write(encode(Channel.BEAT, b""))
                await asyncio.sleep(0.05)
        assert one.linked(two) and one.news.count(("down", stuck.node)) == 1


async def test_a_peer_that_falls_silent_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "DEAD_SECONDS", 0.2)
    async with Peer().open() as one:
        two = Peer()
        one.trust(two)
        async with raw(one, contexts(two.key).dial) as (reader, writer):
            writer.write(HELLO)
            await until(lambda: one.linked(two))
            assert await is_closed(reader)
        assert one.news == [("up", two.node), ("down", two.node)]


async def test_a_peer_that_started_again_is_let_in_while_its_old_link_still_looks_alive() -> None:
    for lower in (True, False):
        async with Peer().open() as one:
            two = next(peer for peer in _strangers() if (peer.node < one.node) == lower)
            one.trust(two)
            async with (
                raw(one, contexts(two.key).dial) as (old, first),
                raw(one, contexts(two.key).dial) as (_, second),
            ):
                first.write(HELLO)
                await until(lambda: one.news)
                second.write(encode(Channel.HELLO, encode_hello(Hello(VERSION, "", b"another", 0))))
                assert await is_closed(old)
                second.write(encode(Channel.RAFT, b"new"))
                await until(lambda: one.heard)


def _strangers() -> Iterator[Peer]:
    while True:
        yield Peer()


async def test_a_door_that_closes_while_somebody_knocks_leaves_no_socket_open() -> None:
    for steps in range(100):
        async with Peer().open() as one:
            knocking = socket.socket()
            knocking.setblocking(False)
            with suppress(BlockingIOError):
                knocking.connect((one.address.host, one.address.port))
            for _ in range(steps % 4):
                await asyncio.sleep(0)
        knocking.close()
    gc.collect()

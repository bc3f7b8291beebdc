from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hiveminddb.errors import Forbidden, HiveMindError, InvalidFrame, Unavailable
from hiveminddb.sync import pairingdoor
from hiveminddb.sync.address import Address
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.invite import Invite, parse
from hiveminddb.sync.pairing import Introduction, PairingStream, invite_side, join_side
from tests.sync.meeting import Peer, until

pytestmark = pytest.mark.anyio

CODE = parse("7-walnut-anchor-ribbon")
PAYLOAD = b"directory" * 50_000


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})], ids=["uvloop", "asyncio"]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


def introduction(peer: Peer) -> Introduction:
    return Introduction(peer.node, peer.public, "a node", "its swarm", 1, 1)


@asynccontextmanager
async def host_and_guest() -> AsyncIterator[tuple[Peer, Peer]]:
    """The host lets in who knows CODE, and trusts it from then on."""
    async with Peer().open() as host, Peer().open() as guest:
        invite = Invite(lambda: 0.0, CODE)

        async def admit(_: Introduction) -> bytes:
            host.trust(guest)
            return PAYLOAD

        async def let_in(stream: PairingStream) -> None:
            await invite_side(stream, lambda _: invite, introduction(host), admit)

        host.links.pairing = let_in
        yield host, guest


async def join(guest: Peer, host: Peer, password: bytes) -> Introduction | None:
    async def agree(_: Introduction) -> bool:
        return True

    async def adopt(_: Introduction, payload: bytes) -> None:
        assert payload == PAYLOAD
        guest.trust(host)

    async def introduce() -> Introduction:
        return introduction(guest)

    async with guest.links.pair(host.address) as stream:
        return await join_side(stream, CODE.nameplate, password, introduce, agree, adopt)


async def test_strangers_pair_over_tls_and_link_afterwards() -> None:
    async with host_and_guest() as (host, guest):
        told = await join(guest, host, CODE.password())
        assert told == introduction(host)
        guest.seek(host)
        await until(lambda: guest.linked(host) and host.linked(guest))


async def test_a_wrong_code_joins_nothing() -> None:
    async with host_and_guest() as (host, guest):
        with pytest.raises(Forbidden):
            await join(guest, host, b"wrong")
        assert not host.trusts and not guest.trusts


async def test_nobody_pairs_while_the_host_does_not() -> None:
    async with Peer().open() as host, Peer().open() as guest:
        with pytest.raises(HiveMindError):
            await join(guest, host, CODE.password())
        with pytest.raises(Unavailable, match="nobody to pair with"):
            async with guest.links.pair(Address("127.0.0.1", 1)):
                pass


async def test_a_stranger_may_speak_of_nothing_else_and_no_more_than_is_read() -> None:
    async def sit(stream: PairingStream) -> None:
        await asyncio.sleep(60)

    async with Peer().open() as host, Peer().open() as guest:
        host.links.pairing = sit
        for channel, payload in [(Channel.RAFT, b"x"), (Channel.PAIRING, bytes((1 << 20) + 1))]:
            async with guest.links.pair(host.address) as stream:
                stream._connection.send(channel, payload)
                with pytest.raises(EOFError):
                    await stream.read(1 << 20)
        async with guest.links.pair(host.address) as stream:
            with pytest.raises(EOFError):
                while True:
                    await stream.write(b"more")
                    await asyncio.sleep(0)
        assert not host.heard


async def test_a_message_over_what_is_expected_is_refused_by_who_reads() -> None:
    async def say_much(stream: PairingStream) -> None:
        await stream.write(bytes(100))
        await stream.read(10)

    async with Peer().open() as host, Peer().open() as guest:
        host.links.pairing = say_much
        async with guest.links.pair(host.address) as stream:
            with pytest.raises(InvalidFrame, match="100 bytes"):
                await stream.read(99)


async def test_few_may_pair_at_a_time() -> None:
    started = 0

    async def sit(stream: PairingStream) -> None:
        nonlocal started
        started += 1
        await stream.read(10)

    async with Peer().open() as host, Peer().open() as guest:
        host.links.pairing = sit
        opened = [guest.links.pair(host.address) for _ in range(pairingdoor.MAX_PAIRINGS + 1)]
        streams = [await stream.__aenter__() for stream in opened]
        with pytest.raises(EOFError):
            await streams[-1].read(10)
        assert started == pairingdoor.MAX_PAIRINGS
        for stream in opened:
            await stream.__aexit__(None, None, None)

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Iterator

import pytest

from bench.netns import Host, Network
from hiveminddb.sync.address import Address
from hiveminddb.sync.sockets import first_connected, listening
from tests.lan import lan

pytestmark = pytest.mark.anyio


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})], ids=["uvloop", "asyncio"]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with lan(2) as made:
        yield made


def link_local(host: Host) -> str:
    """The host's address that every machine has, without a zone."""
    (interface,) = json.loads(host.run("ip", "-j", "-6", "address", "show", "dev", "eth0", "scope", "link"))
    return str(interface["addr_info"][0]["local"])


async def test_a_link_local_address_is_reached_through_its_zone(network: Network) -> None:
    one, two = network.hosts
    with two.inside():
        listener = listening(Address("::", 0))
    port = listener.getsockname()[1]
    with one.inside(), listener:
        address = Address(f"{link_local(two)}%eth0", port)
        reached, connection = await first_connected([address])
        assert reached == address
        with connection, listener.accept()[0] as accepted:
            await asyncio.get_running_loop().sock_sendall(connection, b"here")
            accepted.setblocking(True)
            assert accepted.recv(4) == b"here"


async def test_a_link_local_address_where_nobody_listens_says_so(network: Network) -> None:
    one, two = network.hosts
    with one.inside(), pytest.raises(OSError, match=f"Errno {errno.ECONNREFUSED}"):
        await first_connected([Address(f"{link_local(two)}%eth0", 9)])

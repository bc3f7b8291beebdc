"""One voter of bench.raft: Links and Consensus as the daemon has them, a machine in memory, and a port for clients."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.errors import HiveMindError
from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.identity import node_id
from hiveminddb.sync.links import Links
from hiveminddb.sync.raft.consensus import Consensus
from hiveminddb.sync.raft.replica import Committed

_HEAD = struct.Struct(">I")


class Settings(msgspec.Struct):
    """`peers` are all voters: private key (hex) and the ports for peers and for clients."""

    folder: str
    me: int
    peers: list[tuple[str, int, int]]


class Machine:
    """The last value of every key, in memory; as durable as this bench needs."""

    def __init__(self) -> None:
        self.applied = 0
        self.values: dict[bytes, bytes] = {}

    def deliver(self, entries: Sequence[Committed]) -> None:
        for entry in entries:
            self.values[entry.command[:8]] = entry.command
        self.applied = entries[-1].index

    async def snapshot(self) -> tuple[int, bytes]:
        return self.applied, msgspec.msgpack.encode(self.values)

    async def install(self, index: int, term: int, state: bytes) -> None:
        self.values = msgspec.msgpack.decode(state, type=dict[bytes, bytes])
        self.applied = index


class Wire:
    def __init__(self, links: Links) -> None:
        self._links = links

    def send(self, peer: NodeId, payload: bytes) -> bool:
        return self._links.send(peer, Channel.RAFT, payload)

    def connected(self) -> frozenset[NodeId]:
        return self._links.connected()


class Service(asyncio.Protocol):
    """Commands from clients; `?` asks for the view."""

    def __init__(self, consensus: Consensus) -> None:
        self._consensus = consensus
        self._buffer = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer == b"?":
            view = self._consensus.view
            self._transport.write(json.dumps({"role": view.role, "quorum": view.has_quorum}).encode())
            return
        while len(self._buffer) >= 4:
            end = 4 + int(_HEAD.unpack_from(self._buffer)[0])
            if len(self._buffer) < end:
                return
            task = asyncio.get_running_loop().create_task(self._decide(bytes(self._buffer[4:end])))
            del self._buffer[:end]
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _decide(self, command: bytes) -> None:
        try:
            index = await self._consensus.propose(command, 5)
        except HiveMindError:
            index = 0
        self._transport.write(index.to_bytes(8, "big"))


async def serve(settings: Settings) -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)) for key, _, _ in settings.peers]
    public = {node_id(key): key.public_key().public_bytes_raw() for key in keys}
    _, peer_port, client_port = settings.peers[settings.me]
    consensus: Consensus

    def later(name: str) -> Callable[[NodeId], None]:
        return lambda peer: getattr(consensus, name)(peer)

    handlers = {Channel.RAFT: lambda peer, payload: consensus.received(peer, payload)}
    links = Links(keys[settings.me], public.get, handlers, later("peer_up"), later("peer_down"))
    consensus = Consensus(links.node, Path(settings.folder), frozenset(public), Machine(), Wire(links))
    async with consensus, links:
        await links.listen(Address("127.0.0.1", peer_port))
        for key, (_, port, _) in zip(keys, settings.peers, strict=True):
            links.seek(node_id(key), [Address("127.0.0.1", port)])
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Service(consensus), "127.0.0.1", client_port)
        await server.serve_forever()


def main() -> None:
    uvloop.run(serve(msgspec.json.decode(sys.argv[1], type=Settings)))


if __name__ == "__main__":
    main()

"""A link between two processes, beside bare TLS in the same run: round trips, throughput, urgent frames, idling.

Needs nothing but loopback: `python -m bench.links`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection as Pipe
from typing import cast

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.running import Row, arguments, at_least, at_most, latency, percentile, report
from hiveminddb.model import NodeId
from hiveminddb.sync.address import Address
from hiveminddb.sync.certificate import contexts
from hiveminddb.sync.frames import Channel
from hiveminddb.sync.identity import node_id
from hiveminddb.sync.links import Links

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)]
NODES = [node_id(key) for key in KEYS]
TRUSTED = {node: key.public_key().public_bytes_raw() for node, key in zip(NODES, KEYS, strict=True)}
LOOPBACK = Address("127.0.0.1", 0)

SMALL = bytes(100)
BATCH = bytes(512 << 10)

# What a packet costs besides TLS: Ethernet, IPv4, TCP with timestamps.
PACKET = 66
END = b"end"


class End:
    """One end of a link; `heard` is set by what comes on RAFT, which the second end sends back."""

    def __init__(self, number: int) -> None:
        self.up = asyncio.Event()
        self.heard = asyncio.Event()
        self.echoes = number == 1
        self.peer = NODES[1 - number]
        self.links = Links(
            KEYS[number],
            TRUSTED.get,
            {Channel.RAFT: self._take, Channel.KNOWLEDGE: self._take_much},
            lambda node: self.up.set(),
            lambda node: self.up.clear(),
            answer=self._echo,
        )

    async def _echo(self, node: NodeId, question: bytes) -> bytes:
        return question

    def _take(self, node: NodeId, payload: bytes) -> None:
        self.heard.set()
        if self.echoes:
            self.links.send(node, Channel.RAFT, payload)

    def _take_much(self, node: NodeId, payload: bytes) -> None:
        if payload == END:
            self.links.send(node, Channel.RAFT, payload)


class Echo(asyncio.Protocol):
    """Bare TLS: sends back what is small, counts what is not, and says so once all has come."""

    def __init__(self) -> None:
        self.count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.count == 0 and len(data) == len(SMALL):
            self.transport.write(data)
        elif data.endswith(END):
            self.transport.write(END)
            self.count = 0
        else:
            self.count += len(data)


class Bare(asyncio.Protocol):
    """The asking side of Echo."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.heard = asyncio.Event()
        self.flowing = asyncio.Event()
        self.flowing.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard.set()

    def pause_writing(self) -> None:
        self.flowing.clear()

    def resume_writing(self) -> None:
        self.flowing.set()


def other_side(pipe: Pipe) -> None:
    """The process that answers."""
    uvloop.run(_other_side(pipe))


async def _other_side(pipe: Pipe) -> None:
    loop = asyncio.get_running_loop()
    end = End(1)
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=contexts(KEYS[1]).accept)
    async with end.links:
        address = await end.links.listen(LOOPBACK)
        pipe.send((address.port, server.sockets[0].getsockname()[1]))
        await loop.run_in_executor(None, pipe.recv)
    server.close()


async def measure(link_port: int, bare_port: int, rounds: int, megabytes: int, idle: float) -> list[Row]:
    """All of it, one after the other."""
    loop = asyncio.get_running_loop()
    end = End(0)
    transport, bare = await loop.create_connection(
        Bare, "127.0.0.1", bare_port, ssl=contexts(KEYS[0]).dial, server_hostname=""
    )
    async with end.links:
        began = time.perf_counter()
        end.links.seek(end.peer, [Address("127.0.0.1", link_port)])
        await end.up.wait()
        up = time.perf_counter() - began

        async def ping() -> None:
            end.heard.clear()
            end.links.send(end.peer, Channel.RAFT, SMALL)
            await end.heard.wait()

        async def bare_ping() -> None:
            bare.heard.clear()
            transport.write(SMALL)
            await bare.heard.wait()

        async def call() -> None:
            await end.links.call(end.peer, SMALL, 5.0)

        pings, bare_pings, calls = [await times(what, rounds) for what in (ping, bare_ping, call)]
        busy, speed = await flood(end, megabytes, ping)
        bare_speed = await bare_flood(bare, transport, megabytes)
        per_second, cpu = await idling(end, idle)
    transport.close()
    return [
        Row("link up, from `seek`", f"{up * 1e3:.1f} ms"),
        latency("round trip, 100 bytes", pings, 1.0, f"bare TLS {percentile(bare_pings, 0.5) * 1e3:.2f} ms", 0.95),
        latency("question and answer", calls, None),
        at_least(f"{megabytes} MB in frames of 512 KiB", speed, "MB/s", 10.0, f"bare TLS {bare_speed:.0f} MB/s"),
        latency("urgent round trip meanwhile", busy, None),
        at_most("idle link, with TCP/IP", per_second, "B/s", 2000, extra=f", {cpu * 100:.2f} % of a core"),
    ]


async def times(what: Callable[[], Awaitable[None]], rounds: int) -> list[float]:
    """Seconds of each round, after some to warm up."""
    taken = []
    for number in range(rounds + rounds // 10):
        began = time.perf_counter()
        await what()
        if number >= rounds // 10:
            taken.append(time.perf_counter() - began)
    return taken


async def flood(end: End, megabytes: int, ping: Callable[[], Awaitable[None]]) -> tuple[list[float], float]:
    """Round trips while the link is full, and MB/s until the other side has all (without round trips beside it)."""
    taken: list[float] = []
    await send_all(end, megabytes, lambda: asyncio.ensure_future(timed(ping, taken)))
    await ping()
    began = time.perf_counter()
    await send_all(end, megabytes, None)
    end.heard.clear()
    while not end.links.send(end.peer, Channel.KNOWLEDGE, END):  # noqa: ASYNC110
        await asyncio.sleep(0)
    await end.heard.wait()
    return taken, megabytes * 1.048576 / (time.perf_counter() - began)


async def send_all(end: End, megabytes: int, beside: Callable[[], asyncio.Future[None]] | None) -> None:
    """Keeps the queue full; `beside` is started again whenever it is over."""
    running = beside() if beside else None
    for _ in range(megabytes * 2):
        while not end.links.send(end.peer, Channel.KNOWLEDGE, BATCH):
            await asyncio.sleep(0.0002)
            if beside and running and running.done():
                running = beside()
    if running:
        await running


async def timed(what: Callable[[], Awaitable[None]], taken: list[float]) -> None:
    began = time.perf_counter()
    await what()
    taken.append(time.perf_counter() - began)


async def bare_flood(bare: Bare, transport: asyncio.Transport, megabytes: int) -> float:
    """MB/s of the same bytes through TLS alone."""
    bare.heard.clear()
    began = time.perf_counter()
    for _ in range(megabytes * 2):
        transport.write(BATCH)
        await bare.flowing.wait()
    transport.write(END)
    await bare.heard.wait()
    return megabytes * 1.048576 / (time.perf_counter() - began)


async def idling(end: End, seconds: float) -> tuple[float, float]:
    """Bytes a second over the wire, both ways, and this process's share of a core, with nothing to say."""
    transport = end.links._links[end.peer].connection._transport
    assert transport is not None
    link: socket.socket = transport.get_extra_info("socket")
    before, cpu = wire_bytes(link), time.process_time()
    await asyncio.sleep(seconds)
    return (wire_bytes(link) - before) / seconds, (time.process_time() - cpu) / seconds


def wire_bytes(link: socket.socket) -> int:
    """From Linux's tcp_info: bytes acknowledged and received, segments out and in."""
    info = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    acked, received = struct.unpack_from("QQ", info, 120)
    out, come = struct.unpack_from("II", info, 136)
    return int(acked + received + PACKET * (out + come))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--idle", type=float, default=10.0)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=other_side, args=(there,))
    process.start()
    link_port, bare_port = here.recv()
    rows = uvloop.run(measure(link_port, bare_port, options.rounds, options.megabytes, options.idle))
    here.send("stop")
    process.join()
    report("Links", rows, options.json)


if __name__ == "__main__":
    main()

"""A load generator for bench.raft: so many clients, each with a connection of its own and one request at a time.

It speaks to a HiveMindDB voter of the bench, or to etcd (gRPC over HTTP/2, written out, so that it costs little and as
much for the one as for the other). Prints JSON: requests answered in the time, and their latencies in seconds.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from typing import ClassVar, cast

import uvloop

VALUE_BYTES = 300


class Client(asyncio.Protocol):
    """Asks again as soon as it is answered, until told to stop; `times` are the latencies."""

    requests: ClassVar[int] = 0

    def __init__(self, number: int) -> None:
        self.number = number
        self.times: list[float] = []
        self.failed = 0
        self.running = True
        self.done = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.greet()
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.failed += self.running
            self.done.set_result(None)

    def ask(self) -> None:
        self._asked = time.perf_counter()
        self.transport.write(self.request())

    def answered(self, well: bool) -> None:
        if well:
            self.times.append(time.perf_counter() - self._asked)
        else:
            self.failed += 1
        if self.running:
            self.ask()
        elif not self.done.done():
            self.done.set_result(None)

    def greet(self) -> None: ...

    def request(self) -> bytes:
        raise NotImplementedError


class VoterClient(Client):
    """u32 length | command; answered by u64 index, 0 where it was not committed."""

    _HEAD = struct.Struct(">I")

    def request(self) -> bytes:
        return self._HEAD.pack(VALUE_BYTES) + b"%08d" % self.number + bytes(VALUE_BYTES - 8)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            index = int.from_bytes(self._buffer[:8], "big")
            del self._buffer[:8]
            self.answered(index > 0)


class EtcdClient(Client):
    """etcdserverpb.KV/Put; HTTP/2 as of RFC 9113, headers as of RFC 7541 without the dynamic table."""

    _DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
    _PATH = b"/etcdserverpb.KV/Put"
    _FIELDS = (
        b"\x83\x86\x04" + bytes([len(_PATH)]) + _PATH
        + b"\x01\x09127.0.0.1" + b"\x0f\x10\x10application/grpc" + b"\x00\x02te\x08trailers"
    )  # fmt: skip

    def greet(self) -> None:
        self._stream = -1
        self._got_data = False
        settings = struct.pack(">HI", 4, (1 << 31) - 1)
        self.transport.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(self._SETTINGS, 0, 0, settings)
            + _frame(self._WINDOW, 0, 0, struct.pack(">I", (1 << 31) - 1 - 65535))
        )
        key, value = b"%08d" % self.number, bytes(VALUE_BYTES)
        put = b"\x0a" + bytes([len(key)]) + key + b"\x12" + _varint(len(value)) + value
        self._body = b"\x00" + struct.pack(">I", len(put)) + put

    def request(self) -> bytes:
        self._stream += 2
        self._got_data = False
        headers = _frame(self._HEADERS, 0x4, self._stream, self._FIELDS)
        return headers + _frame(self._DATA, 0x1, self._stream, self._body)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 9:
            length = int.from_bytes(buffer[:3], "big")
            if len(buffer) < 9 + length:
                return
            kind, flags, payload = buffer[3], buffer[4], bytes(buffer[9 : 9 + length])
            del buffer[: 9 + length]
            self._on_frame(kind, flags, payload)

    def _on_frame(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == self._DATA:
            self._got_data = True
        elif kind == self._HEADERS and flags & 0x1:
            self.answered(self._got_data)
        elif kind == self._RESET:
            self.answered(False)
        elif kind == self._GOAWAY:
            self.transport.close()
        elif kind in (self._SETTINGS, self._PING) and not flags & 0x1:
            self.transport.write(_frame(kind, 0x1, 0, payload if kind == self._PING else b""))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


KINDS: dict[str, type[Client]] = {"voter": VoterClient, "etcd": EtcdClient}


async def load(kind: str, port: int, count: int, seconds: float) -> dict[str, object]:
    """Answers in `seconds`, after a tenth of that to warm up."""
    loop = asyncio.get_running_loop()
    clients = [KINDS[kind](number) for number in range(count)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(seconds / 10)
    for client in clients:
        client.times.clear()
    start = time.perf_counter()
    await asyncio.sleep(seconds)
    taken = time.perf_counter() - start
    times = [value for client in clients for value in client.times]
    for client in clients:
        client.running = False
    await asyncio.wait([client.done for client in clients], timeout=5)
    failed = sum(client.failed for client in clients)
    return {"per_second": len(times) / taken, "times": sorted(times)[:: max(1, len(times) // 2000)], "failed": failed}


async def until_answered(kind: str, ports: list[int], limit: float) -> float:
    """Seconds until any of these nodes has answered one request well; each is asked anew every 20 ms."""
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    while not any(client.times for client in clients):
        if time.perf_counter() - start > limit:
            raise SystemExit(f"nothing was decided within {limit} s")
        for port in ports:
            client = KINDS[kind](len(clients))
            client.running = False
            await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
            clients.append(client)
        await asyncio.wait([client.done for client in clients[-len(ports) :]], timeout=0.02)
    taken = time.perf_counter() - start
    for client in clients:
        client.transport.close()
    return taken


def main() -> None:
    kind, ports, count, seconds = sys.argv[1], [int(port) for port in sys.argv[2].split(",")], *map(int, sys.argv[3:5])
    print(json.dumps(uvloop.run(load(kind, ports[0], count, seconds))))


if __name__ == "__main__":
    main()

"""Sockets that listen and sockets that reach somebody, IPv4 and IPv6 alike."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from hiveminddb.sync.address import Address

# A silent address holds up the next for no longer than this (RFC 8305 says 250 ms).
STAGGER = 0.2

# Bounds names and TCP, for all addresses together.
CONNECT_SECONDS = 5.0

EVERYWHERE = ("", "0.0.0.0", "::")

# More than this stays in our queue, where an urgent frame can overtake it.
_UNSENT_BYTES = 128 << 10

# What the system may hold for a reader that is late, and so what an urgent frame may have to wait for: 100 Mbit/s at
# 40 ms need as much.
_UNREAD_BYTES = 512 << 10


def listening(address: Address) -> socket.socket:
    """A listening socket; "everywhere" serves IPv4 and IPv6 where the machine has both. Raises OSError."""
    if address.host in EVERYWHERE:
        return _listening_everywhere(address.port)
    family, _, _, _, name = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    return _server((str(name[0]), address.port), family)


Reached = tuple[Address, socket.socket]
_Found = tuple[int, int, int, str, Any]


async def first_connected(addresses: Sequence[Address]) -> Reached:
    """The first address that takes a TCP connection; they are tried a moment apart. Raises OSError when none does."""
    tries: dict[asyncio.Task[Reached], Address] = {}
    try:
        for address in addresses:
            tries[asyncio.create_task(_connected(address))] = address
            if won := await _first(tries, STAGGER):
                del tries[won]
                return won.result()
        while any(not task.done() for task in tries):
            if won := await _first(tries, None):
                del tries[won]
                return won.result()
        raise OSError("; ".join(f"{address}: {task.exception()}" for task, address in tries.items()) or "no address")
    finally:
        for task in tries:
            discard(task)


def discard(attempt: asyncio.Task[Reached]) -> None:
    """Ends an attempt that nobody waits for, and closes what it reached in the meantime."""
    attempt.cancel()
    attempt.add_done_callback(_close_reached)


def tune(connected: socket.socket) -> None:
    """Small messages leave at once, and the system keeps little that has not left."""
    connected.setblocking(False)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
        connected.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)


def _listening_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return _server(("::", port), socket.AF_INET6, dualstack=True)
        except OSError:
            # Built with IPv6, but switched off in this machine.
            pass
    return _server(("0.0.0.0", port), socket.AF_INET)


def _server(name: tuple[str, int], family: int, dualstack: bool = False) -> socket.socket:
    listener = socket.create_server(name, family=family, backlog=128, dualstack_ipv6=dualstack)
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
    return listener


async def _connected(address: Address) -> Reached:
    failure = OSError(f"{address.host} has no address")
    for family, kind, protocol, _, name in await _looked_up(address):
        reaching = socket.socket(family, kind, protocol)
        try:
            tune(reaching)
            await _connect(reaching, name)
        except OSError as error:
            reaching.close()
            failure = error
        except BaseException:
            reaching.close()
            raise
        else:
            return address, reaching
    raise failure


async def _looked_up(address: Address) -> Sequence[_Found]:
    if "%" in address.host:
        # uvloop's look-up loses the zone, without which a link-local address is nowhere.
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)


async def _connect(reaching: socket.socket, name: Any) -> None:
    loop = asyncio.get_running_loop()
    if len(name) < 4 or not name[3] or sys.platform == "win32":
        await loop.sock_connect(reaching, name)
        return
    # As above: uvloop would connect to no zone.
    error = reaching.connect_ex(name)
    if error == errno.EINPROGRESS:
        writable = asyncio.Event()
        loop.add_writer(reaching, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(reaching)
        error = reaching.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


async def _first(tries: Iterable[asyncio.Task[Reached]], within: float | None) -> asyncio.Task[Reached] | None:
    running = [task for task in tries if not task.done()]
    done, _ = await asyncio.wait(running, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    return next((task for task in done if task.exception() is None), None)


def _close_reached(attempt: asyncio.Task[Reached]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result()[1].close()

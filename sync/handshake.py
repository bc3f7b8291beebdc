"""From a connected socket to a connection whose peer has said who it is, within a deadline."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable
from contextlib import suppress

from hiveminddb.sync.connection import Connection

# From the first packet to the end of HELLO; a member needs milliseconds.
HANDSHAKE_SECONDS = 5.0

# How long what was said last may take to leave.
SHUTDOWN_SECONDS = 1.0


async def greet(connection: Connection, reached: socket.socket, context: ssl.SSLContext) -> None:
    """Speaks TLS as the side that `context` is for, until `connection` is settled. Raises OSError or TimeoutError."""
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await _unless_cancelled(_owned_once(_tls(connection, reached, context), reached), reached)
            await connection.settled.wait()
    finally:
        if not connection.settled.is_set():
            connection.drop("did not say who it is in time")


async def _tls(connection: Connection, reached: socket.socket, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        await loop.connect_accepted_socket(
            lambda: connection,
            reached,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
    else:
        await loop.create_connection(
            lambda: connection,
            sock=reached,
            server_hostname="",
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )


async def _unless_cancelled(work: Awaitable[None], reached: socket.socket) -> None:
    # Cancelled half-way, uvloop may lose track of the socket. Shut down, it lets the handshake end by itself.
    handshake = asyncio.ensure_future(work)
    try:
        await asyncio.shield(handshake)
    except asyncio.CancelledError:
        with suppress(OSError):
            reached.shutdown(socket.SHUT_RDWR)
        await asyncio.gather(handshake, return_exceptions=True)
        raise


async def _owned_once(work: Awaitable[None], reached: socket.socket) -> None:
    # Where it fails early, uvloop has closed the descriptor and not told the socket object, which would then close
    # whatever has got that number since.
    before = _inode(reached)
    try:
        await work
    except BaseException:
        if _inode(reached) != before:
            reached.detach()
        raise


def _inode(reached: socket.socket) -> int | None:
    try:
        return os.fstat(reached.fileno()).st_ino
    except OSError:
        return None

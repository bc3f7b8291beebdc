"""Frames, what links are made of: u32 length (big endian, of the payload) | u8 channel | payload. Pure.

A large payload travels in parts, all but the last marked by the channel's highest bit, so that other channels' frames
get between them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from hiveminddb.errors import InvalidFrame

MAX_PAYLOAD = 4 << 20
PART = 64 << 10

_HEAD = struct.Struct(">IB")
_MORE = 0x80


class Channel(IntEnum):
    """What a frame is about. A lower number leaves first when a link is busy."""

    HELLO = 0
    BEAT = 1
    RAFT = 2
    CALL = 3
    KNOWLEDGE = 4
    VECTORS = 5
    PAIRING = 6


_CHANNELS = {int(channel): channel for channel in Channel}


def encode(channel: Channel, payload: bytes) -> list[bytes]:
    """The payload's frames, in order; raises InvalidFrame where it is larger than any peer would take."""
    if len(payload) <= PART:
        return [_HEAD.pack(len(payload), channel) + payload]
    if len(payload) > MAX_PAYLOAD:
        raise InvalidFrame(f"payload of {len(payload)} bytes for channel {channel.name}", f"at most {MAX_PAYLOAD}")
    view = memoryview(payload)
    parts = [view[start : start + PART] for start in range(0, len(payload), PART)]
    last = len(parts) - 1
    return [
        _HEAD.pack(len(part), channel if number == last else channel | _MORE) + part
        for number, part in enumerate(parts)
    ]


class Decoder:
    """Bytes in, as they come; whole payloads out. Holds no more than one payload a channel, and one read."""

    __slots__ = ("limit", "_buffer", "_parts")

    def __init__(self, limit: int = MAX_PAYLOAD) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._parts: dict[Channel, bytearray] = {}

    def feed(self, data: bytes) -> Iterator[tuple[Channel, bytes]]:
        """The payloads that `data` completes. Raises InvalidFrame at one over `limit`, or a channel unknown.

        `limit` may change between two frames. What follows an error, or is left in the iterator, is lost.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _HEAD.size:
                length, number = _HEAD.unpack_from(buffer, start)
                channel = self._channel(length, number)
                begin, end = start + _HEAD.size, start + _HEAD.size + length
                if end > len(buffer):
                    return
                start = end
                if number & _MORE:
                    self._parts.setdefault(channel, bytearray()).extend(memoryview(buffer)[begin:end])
                else:
                    yield channel, self._whole(channel, bytes(memoryview(buffer)[begin:end]))
        finally:
            del buffer[:start]

    def _channel(self, length: int, number: int) -> Channel:
        channel = _CHANNELS.get(number & ~_MORE)
        if channel is None:
            raise InvalidFrame(f"frame on channel {number & ~_MORE}", "it is not one of this protocol")
        if number & _MORE and not length:
            raise InvalidFrame(
                f"empty part on channel {channel.name}", "a part that is not the last has something in it"
            )
        size = length + len(self._parts.get(channel, b""))
        if size > self.limit:
            raise InvalidFrame(f"payload of {size} bytes on channel {channel.name}", f"at most {self.limit}")
        return channel

    def _whole(self, channel: Channel, last: bytes) -> bytes:
        parts = self._parts.pop(channel, None)
        return last if parts is None else bytes(parts + last)

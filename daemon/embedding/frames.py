"""What the daemon and its embedding child say to each other: length-prefixed msgpack."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

# A text of passages.TEXT_LIMIT characters in UTF-8, and room.
FRAME_LIMIT = 4 << 20
LENGTH_BYTES = 4


class Embed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Asks for the vectors of a text; an urgent one goes first and gets one vector."""

    id: int
    text: bytes
    urgent: bool


class Ready(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The model is loaded."""

    dim: int


class Failed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The model cannot be loaded, and trying again will not help."""

    reason: str


class Working(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """This request is in hand: to be blamed if the child dies now."""

    id: int


class Passage(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """One vector (little-endian float32) of a request; the last one has index count - 1."""

    id: int
    index: int
    count: int
    vector: bytes


class Refused(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The model cannot embed this text."""

    id: int
    reason: str


Answer = Ready | Failed | Working | Passage | Refused

_encode = msgspec.msgpack.Encoder().encode
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_requests = msgspec.msgpack.Decoder(Embed)


def frame(message: Embed | Answer) -> bytes:
    """The message as it travels."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def length_of(head: bytes) -> int:
    """Length of the body announced; ValueError over the limit."""
    length = int.from_bytes(head, "big")
    if length > FRAME_LIMIT:
        raise ValueError(f"frame of {length} bytes, at most {FRAME_LIMIT} are allowed")
    return length


def answer(body: bytes) -> Answer:
    """What the child said; ValueError when it is no answer."""
    return _answers.decode(body)


def read_request(stream: BinaryIO) -> Embed | None:
    """The next request, None when the other side has closed."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = length_of(head)
    body = stream.read(length)
    return _requests.decode(body) if len(body) == length else None

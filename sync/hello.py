"""What two nodes say first on a link, and which of two links of a pair stays. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId

VERSION = 1

# Enough for any HELLO; nothing larger is read before it.
MAX_HELLO = 1024


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """`instance` is new with every start; `port` is where the sender listens, 0 for nowhere."""

    version: int
    swarm_tag: str
    instance: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One of two links between the same nodes: who dialled, and which start of the peer it goes to."""

    dialler: NodeId
    instance: bytes


_decoder = msgspec.msgpack.Decoder(Hello)


def encode_hello(hello: Hello) -> bytes:
    """The payload of a HELLO frame."""
    return msgspec.msgpack.encode(hello)


def decode_hello(payload: bytes) -> Hello:
    """Raises InvalidFrame where it is none, or of a version that is not spoken here."""
    try:
        hello = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(f"not a HELLO: {error}") from error
    if hello.version != VERSION or not 0 <= hello.port < 65536:
        raise InvalidFrame(f"HELLO of version {hello.version}", f"this node speaks {VERSION}; update the older one")
    return hello


def replaces(new: Standing, old: Standing) -> bool:
    """Whether the new link takes the place of the old one, so that both ends, asked apart, keep the same one.

    Who dials has no link, or a dead one, unless both dialled at once: then the one dialled by the lower id stays.
    """
    return new.instance != old.instance or new.dialler <= old.dialler

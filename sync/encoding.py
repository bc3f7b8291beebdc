"""The update that makes a new document, written out directly. Pure.

Every add makes one, and a Doc made, filled and asked for its update takes six times as long. The format is fixed:
Yjs's update encoding v1 (https://github.com/yjs/yjs, UpdateEncoderV1) with values as lib0's `any`.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

# Yjs takes client ids of 53 bits, those that JavaScript's numbers hold.
_CLIENT_BITS = 53

# Content kinds in an item's first byte; 0x20 says that a map key follows. 0x01 then names the parent by its root name.
_TEXT_ITEM = b"\x04\x01\x04text"
_FIELD_ITEM = b"\x28\x01\x06fields"


def new_client() -> int:
    """A client id that nobody else has."""
    return random.getrandbits(_CLIENT_BITS)


def client_of(operations: bytes) -> int:
    """The client id that follows from operations, numbered as those of some other client: one never stands for two."""
    return _client(blake2b(operations, digest_size=8).digest())


def new_document(text: str, key: str, value: Mapping[str, Any]) -> bytes:
    """A document of a client of its own: a root Text `text`, and a root Map `fields` with one key. JSON values."""
    count, items = _items(text, key, value)
    return b"".join((b"\x01", count, _number(new_client()), b"\x00", items, b"\x00"))


def derived_document(
    text: str, key: str, value: Mapping[str, Any], salt: bytes, apart: Mapping[str, Any], client: int
) -> tuple[bytes, bytes]:
    """The same by a client that follows from the content; what this node alone says, `apart`, by another client.

    Gives a digest of 32 bytes too. It covers every byte of the derived client's part, and the client id is the end of
    it: one client id never stands for two contents, whoever derives it.
    """
    count, items = _items(text, key, {name: value[name] for name in sorted(value)})
    digest = blake2b(count + items, digest_size=32, salt=salt).digest()
    extra = b"".join(_field(name, item) for name, item in apart.items())
    own = _number(len(apart)) + _number(client) + b"\x00" + extra
    return digest, b"".join((b"\x02", count, _number(_client(digest)), b"\x00", items, own, b"\x00"))


def _client(digest: bytes) -> int:
    """The client id that the end of a digest names."""
    return int.from_bytes(digest[-8:]) & ((1 << _CLIENT_BITS) - 1)


def _items(text: str, key: str, value: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """How many items a new document has, and the items."""
    field = _field(key, value)
    return (b"\x02", _TEXT_ITEM + _string(text) + field) if text else (b"\x01", field)


def _field(key: str, value: Any) -> bytes:
    return _FIELD_ITEM + _string(key) + b"\x01" + _any(value)


_BYTES = tuple(bytes((value,)) for value in range(0x80))
_FLOAT = struct.Struct(">d")


def _number(value: int) -> bytes:
    """A variable-length unsigned integer, seven bits a byte, the low ones first."""
    if value <= 0x7F:
        return _BYTES[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(value: str) -> bytes:
    data = value.encode()
    return _number(len(data)) + data


# Few names are used, over and over.
_name = lru_cache(maxsize=256)(_string)


def _any(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x77" + _string(value)
    if isinstance(value, bool):
        return b"\x78" if value else b"\x79"
    if isinstance(value, int | float):
        return b"\x7b" + _FLOAT.pack(value)
    if value is None:
        return b"\x7e"
    if isinstance(value, Mapping):
        return b"\x76" + _number(len(value)) + b"".join([_name(name) + _any(item) for name, item in value.items()])
    return b"\x75" + _number(len(value)) + b"".join(map(_any, value))

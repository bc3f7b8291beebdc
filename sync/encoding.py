"""The update that makes a new document, written out directly. Pure.

Every add makes one, and a Doc made, filled and asked for its update takes six times as long. The format is fixed:
Yjs's update encoding v1 (https://github.com/yjs/yjs, UpdateEncoderV1) with values as lib0's `any`.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from typing import Any

# Yjs takes client ids of 53 bits, those that JavaScript's numbers hold.
_CLIENT_BITS = 53

# Content kinds in an item's first byte; 0x20 says that a map key follows. 0x01 then names the parent by its root name.
_TEXT_ITEM = b"\x04\x01\x04text"
_FIELD_ITEM = b"\x28\x01\x06fields"


def new_document(text: str, key: str, value: Mapping[str, Any]) -> bytes:
    """A document of a client of its own: a root Text `text`, and a root Map `fields` with one key. JSON values."""
    client = _number(random.getrandbits(_CLIENT_BITS))
    field = _FIELD_ITEM + _string(key) + b"\x01" + _any(value)
    if not text:
        return b"\x01\x01" + client + b"\x00" + field + b"\x00"
    return b"".join((b"\x01\x02", client, b"\x00", _TEXT_ITEM, _string(text), field, b"\x00"))


def _number(value: int) -> bytes:
    """A variable-length unsigned integer, seven bits a byte, the low ones first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(value: str) -> bytes:
    data = value.encode()
    return _number(len(data)) + data


def _any(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x77" + _string(value)
    if isinstance(value, bool):
        return b"\x78" if value else b"\x79"
    if isinstance(value, int | float):
        return b"\x7b" + struct.pack(">d", value)
    if value is None:
        return b"\x7e"
    if isinstance(value, Mapping):
        return b"\x76" + _number(len(value)) + b"".join(_string(name) + _any(item) for name, item in value.items())
    return b"\x75" + _number(len(value)) + b"".join(map(_any, value))

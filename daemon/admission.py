"""What a document may say: fields of kinds that a row can hold. Pure.

A peer may send anything. A field of a wrong kind is as good as absent, a topic that must not be a file gets another
name: the same on every node, since it follows from the document alone. Of what this node's own API and files say
nothing is altered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hiveminddb.daemon.projection import HEAD_POSITION, META
from hiveminddb.model import MEMORY_TYPES
from hiveminddb.sync import position
from hiveminddb.sync.document import Content
from hiveminddb.vault.topics import admissible

# Where a document stands whose position is none.
_SOMEWHERE = "a0"

# Microseconds of the first and the last moment that a date can name.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999


def admitted(content: Content) -> Content:
    """The same content without what it must not say."""
    fields = {name: value for name, value in content.fields.items() if _fits(name, value)}
    topic, where = fields.get("topic"), fields.get("position")
    fields["topic"] = admissible(topic if isinstance(topic, str) else "")
    if not (isinstance(where, str) and (where == HEAD_POSITION or position.is_key(where))):
        fields["position"] = _SOMEWHERE
    if gone := fields.get("invalidated"):
        fields["invalidated"] = {**gone, "topic": admissible(gone["topic"])}
    return replace(content, fields=fields)


def _fits(name: str, value: Any) -> bool:
    return _is_json(value) if name.startswith(META) else _KINDS.get(name, _anything)(value)


def _anything(value: Any) -> bool:
    return True


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_time(value: Any) -> bool:
    return _is_number(value) and _FIRST <= value <= _LAST


def _is_json(value: Any) -> bool:
    """Whether a text is JSON that can be shown again: Python reads more than it can write."""
    try:
        json.dumps(json.loads(value), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_end(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    names = all(isinstance(value.get(name), str) for name in ("digest", "topic", "by", "reason"))
    births = value.get("births", [])
    return names and _is_time(value.get("at")) and isinstance(births, list) and all(map(_is_name, births))


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("user_id", "agent_id", "session_id", "speaker", "source", "role"), _is_name),
    **dict.fromkeys(("created_at", "valid_from", "valid_until"), _is_time),
    "memory_type": lambda value: value in MEMORY_TYPES,
    "confidence": _is_share,
    "invalidated": _is_end,
}

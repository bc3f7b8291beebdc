"""What a file's front matter says about every entry in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hiveminddb.model import MEMORY_TYPES
from hiveminddb.vault.markdown import front_matter_end
from hiveminddb.vault.marks import front_matter


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values for entries that have none of their own; tags are added to theirs."""

    memory_type: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] = ()


NO_DEFAULTS = Defaults()


def defaults_of(head_text: str) -> Defaults:
    """The defaults in a head's front matter; what is missing or of the wrong kind is no default."""
    end = front_matter_end(head_text)
    return _said(head_text[:end]) if end else NO_DEFAULTS


# A change of a file's head asks for each of its entries, and parsing takes a hundred times as long as the rest.
@lru_cache(256)
def _said(front: str) -> Defaults:
    values = front_matter(front).values
    kind = _word(values, "type", "memory_type")
    return Defaults(
        memory_type=kind if kind in MEMORY_TYPES else None,
        user_id=_word(values, "user", "user_id"),
        agent_id=_word(values, "agent", "agent_id"),
        session_id=_word(values, "session", "session_id"),
        tags=_words(values.get("tags")),
    )


def _word(values: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = values.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None


def _words(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(str(item).strip().lstrip("#") for item in items if str(item).strip())

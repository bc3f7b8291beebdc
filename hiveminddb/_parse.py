"""JSON as the daemon writes it -> dataclasses; fields of a newer daemon are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from hiveminddb.answers import Added, FeedChange, Imported, Line, Refused, TopicCount, TopicText, Written
from hiveminddb.model import Arm, Hit, Memory, Topic, Version

Json = Mapping[str, Any]
M = TypeVar("M", bound=Memory)
T = TypeVar("T")

_TIMES = frozenset(
    {
        "created_at",
        "updated_at",
        "valid_from",
        "valid_until",
        "invalidated_at",
        "timestamp",
        "at",
        "last_seen",
        "expires_at",
    },
)


def known(kind: type[T], data: Json) -> T:
    """An instance of a dataclass from the fields it knows, times read as times."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: _value(name, data[name]) for name in names if name in data})


def _value(name: str, value: Any) -> Any:
    if name in _TIMES and value is not None:
        return datetime.fromisoformat(value)
    return value


def _memory(kind: type[M], data: Json) -> M:
    return known(kind, {**data, "tags": tuple(data.get("tags") or ()), "metadata": data.get("metadata") or {}})


def memory(data: Json) -> Memory:
    return _memory(Memory, data)


def written(data: Json) -> Written:
    return _memory(Written, data)


def added(data: Json) -> Added:
    memories = tuple(memory(one) for one in data.get("memories", ()))
    return known(Added, {**data, "ids": tuple(data["ids"]), "memories": memories})


def hit(data: Json) -> Hit:
    why = data.get("why")
    arms = None if why is None else {arm: known(Arm, value) for arm, value in why.items()}
    return Hit(memory(data), float(data["score"]), arms)


def version(data: Json) -> Version:
    return known(Version, data)


def topic(data: Json) -> Topic:
    return known(Topic, data)


def topic_text(data: Json) -> TopicText:
    return known(TopicText, {**data, "memories": tuple(memory(one) for one in data["memories"])})


def invalidated(data: Json) -> TopicCount:
    return known(TopicCount, {**data, "count": data["invalidated"]})


def restored(data: Json) -> TopicCount:
    return known(TopicCount, {**data, "count": data["restored"]})


def line(data: Json) -> Line:
    return known(Line, data)


def feed_change(data: Json) -> FeedChange:
    return known(FeedChange, {"topic": None, **data})


def imported(data: Json) -> Imported:
    return known(Imported, {**data, "refused": tuple(known(Refused, one) for one in data["refused"])})

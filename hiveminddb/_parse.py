"""JSON as the daemon writes it -> dataclasses; fields of a newer daemon are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from hiveminddb.answers import (
    Added,
    Check,
    EmbeddingStatus,
    FeedChange,
    Health,
    Imported,
    Line,
    Pending,
    Refused,
    SearchStatus,
    Setting,
    Status,
    TopicCount,
    TopicText,
    VaultStatus,
    Written,
)
from hiveminddb.model import Arm, Hit, Memory, Topic, Version
from hiveminddb.swarm import Introduction, Invite, Joined, Lease, Register, SwarmNode, SwarmStatus

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


def _known(kind: type[T], data: Json) -> T:
    """An instance of a dataclass from the fields it knows, times read as times."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: _value(name, data[name]) for name in names if name in data})


def _value(name: str, value: Any) -> Any:
    if name in _TIMES and value is not None:
        return datetime.fromisoformat(value)
    return value


def _memory(kind: type[M], data: Json) -> M:
    return _known(kind, {**data, "tags": tuple(data.get("tags") or ()), "metadata": data.get("metadata") or {}})


def memory(data: Json) -> Memory:
    return _memory(Memory, data)


def written(data: Json) -> Written:
    return _memory(Written, data)


def added(data: Json) -> Added:
    memories = tuple(memory(one) for one in data.get("memories", ()))
    return _known(Added, {**data, "ids": tuple(data["ids"]), "memories": memories})


def hit(data: Json) -> Hit:
    why = data.get("why")
    arms = None if why is None else {arm: _known(Arm, value) for arm, value in why.items()}
    return Hit(memory(data), float(data["score"]), arms)


def version(data: Json) -> Version:
    return _known(Version, data)


def topic(data: Json) -> Topic:
    return _known(Topic, data)


def topic_text(data: Json) -> TopicText:
    return _known(TopicText, {**data, "memories": tuple(memory(one) for one in data["memories"])})


def invalidated(data: Json) -> TopicCount:
    return _known(TopicCount, {**data, "count": data["invalidated"]})


def restored(data: Json) -> TopicCount:
    return _known(TopicCount, {**data, "count": data["restored"]})


def line(data: Json) -> Line:
    return _known(Line, data)


def feed_change(data: Json) -> FeedChange:
    return _known(FeedChange, {"topic": None, **data})


def imported(data: Json) -> Imported:
    return _known(Imported, {**data, "refused": tuple(_known(Refused, one) for one in data["refused"])})


def check(data: Json) -> Check:
    return _known(Check, data)


def setting(data: Json) -> Setting:
    return _known(Setting, data)


def health(data: Json) -> Health:
    return _known(Health, data)


def vault_status(data: Json) -> VaultStatus:
    return _known(VaultStatus, data)


def swarm(data: Json) -> SwarmStatus:
    nodes = tuple(_known(SwarmNode, one) for one in data.get("nodes", ()))
    return _known(SwarmStatus, {**data, "nodes": nodes})


def invite(data: Json) -> Invite:
    return _known(Invite, data)


def introduction(data: Json) -> Introduction:
    return _known(Introduction, data)


def joined(data: Json) -> Joined:
    return _known(Joined, data)


def lease(data: Json) -> Lease:
    return _known(Lease, data)


def register(data: Json) -> Register:
    return _known(Register, data)


def status(data: Json) -> Status:
    parts = {
        "vault": vault_status(data["vault"]),
        "pending": _known(Pending, data["pending"]),
        "embedding": _known(EmbeddingStatus, data["embedding"]),
        "search": _known(SearchStatus, data["search"]),
        "swarm": swarm(data["swarm"]),
    }
    return _known(Status, {**data, **parts})

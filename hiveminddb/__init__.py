"""One memory that agents and people share: the client of a HiveMindDB daemon."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hiveminddb.aio import AsyncHiveMind
    from hiveminddb.answers import (
        Added,
        Draft,
        FeedChange,
        Hits,
        Imported,
        ImportFile,
        Line,
        Page,
        Refused,
        TopicCount,
        TopicText,
        Written,
    )
    from hiveminddb.client import HiveMind
    from hiveminddb.errors import (
        AlreadyRunning,
        Ambiguous,
        Conflict,
        Corrupt,
        DiskFull,
        Forbidden,
        HiveMindError,
        InvalidConfig,
        InvalidInput,
        NewerDatabase,
        NoQuorum,
        NotFound,
        NotReachable,
        OutcomeUnknown,
        ReadOnly,
        StorageError,
        TooLarge,
        Unauthorized,
        Unavailable,
        VaultError,
    )
    from hiveminddb.model import Arm, Hit, Memory, MemoryId, Topic, Version
    from hiveminddb.swarm import Introduction, Invite, Joined, Lease, Register, SwarmNode, SwarmStatus
    from hiveminddb.upkeep import Check, EmbeddingStatus, Health, Pending, SearchStatus, Setting, Status, VaultStatus

__all__ = [
    "Added",
    "AlreadyRunning",
    "Ambiguous",
    "Arm",
    "AsyncHiveMind",
    "Check",
    "Conflict",
    "Corrupt",
    "DiskFull",
    "Draft",
    "EmbeddingStatus",
    "FeedChange",
    "Forbidden",
    "Health",
    "HiveMind",
    "HiveMindError",
    "Hit",
    "Hits",
    "ImportFile",
    "Imported",
    "InvalidConfig",
    "InvalidInput",
    "Introduction",
    "Invite",
    "Joined",
    "Lease",
    "Line",
    "Memory",
    "MemoryId",
    "NewerDatabase",
    "NoQuorum",
    "NotFound",
    "NotReachable",
    "OutcomeUnknown",
    "Page",
    "Pending",
    "ReadOnly",
    "Refused",
    "Register",
    "SearchStatus",
    "Setting",
    "Status",
    "StorageError",
    "SwarmNode",
    "SwarmStatus",
    "TooLarge",
    "Topic",
    "TopicCount",
    "TopicText",
    "Unauthorized",
    "Unavailable",
    "VaultError",
    "VaultStatus",
    "Version",
    "Written",
]

_MODULES = ("errors", "model", "answers", "upkeep", "swarm", "client", "aio")


def __getattr__(name: str) -> Any:
    # Lazy, because every room imports this package for its errors and few need HTTP or asyncio.
    if name in __all__:
        for module in _MODULES:
            found = getattr(importlib.import_module(f"hiveminddb.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

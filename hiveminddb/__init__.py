"""One memory that agents and people share: the client of a HiveMindDB daemon."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hiveminddb.aio import AsyncHiveMind
    from hiveminddb.answers import (
        Added,
        Check,
        Draft,
        EmbeddingStatus,
        FeedChange,
        Health,
        Hits,
        Imported,
        ImportFile,
        Line,
        Page,
        Pending,
        Refused,
        SearchStatus,
        Setting,
        Status,
        SwarmStatus,
        TopicCount,
        TopicText,
        VaultStatus,
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
        NotFound,
        NotReachable,
        ReadOnly,
        StorageError,
        TooLarge,
        Unauthorized,
        Unavailable,
        VaultError,
    )
    from hiveminddb.model import Arm, Hit, Memory, MemoryId, Topic, Version

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
    "Line",
    "Memory",
    "MemoryId",
    "NewerDatabase",
    "NotFound",
    "NotReachable",
    "Page",
    "Pending",
    "ReadOnly",
    "Refused",
    "SearchStatus",
    "Setting",
    "Status",
    "StorageError",
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

_MODULES = ("errors", "model", "answers", "client", "aio")


def __getattr__(name: str) -> Any:
    # Lazy, because every room imports this package for its errors and few need HTTP or asyncio.
    if name in __all__:
        for module in _MODULES:
            found = getattr(importlib.import_module(f"hiveminddb.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

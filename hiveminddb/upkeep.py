"""What the daemon answers about itself: its health, its settings, what a doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hiveminddb.swarm import SwarmStatus


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a doctor looked at."""

    check: str
    ok: bool
    message: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the daemon and where its value came from; secrets are hidden."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Health:
    """Who answers at an address."""

    status: str
    version: str
    node_id: str


@dataclass(frozen=True, slots=True)
class VaultStatus:
    path: str
    state: str
    files: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddingStatus:
    model: str
    state: str
    reason: str = ""
    vectors: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """Work the daemon still has to do: files to write, texts to embed."""

    mirror: int = 0
    embed: int = 0


@dataclass(frozen=True, slots=True)
class SearchStatus:
    mode: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon's health at one moment."""

    node_id: str
    version: str
    vault: VaultStatus
    memories: int
    invalidated: int
    topics: int
    changes: int
    pending: Pending
    embedding: EmbeddingStatus
    search: SearchStatus
    uptime_s: float
    data_dir: str
    database_bytes: int
    swarm: SwarmStatus

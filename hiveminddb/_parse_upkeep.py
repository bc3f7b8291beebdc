"""JSON in which the daemon speaks of itself -> dataclasses."""

from __future__ import annotations

from hiveminddb import _parse_swarm
from hiveminddb._parse import Json, known
from hiveminddb.upkeep import (
    Check,
    EmbeddingStatus,
    Health,
    Pending,
    SearchStatus,
    Setting,
    Status,
    VaultStatus,
)


def check(data: Json) -> Check:
    return known(Check, data)


def setting(data: Json) -> Setting:
    return known(Setting, data)


def health(data: Json) -> Health:
    return known(Health, data)


def vault_status(data: Json) -> VaultStatus:
    return known(VaultStatus, data)


def status(data: Json) -> Status:
    parts = {
        "vault": vault_status(data["vault"]),
        "pending": known(Pending, data["pending"]),
        "embedding": known(EmbeddingStatus, data["embedding"]),
        "search": known(SearchStatus, data["search"]),
        "swarm": _parse_swarm.swarm(data["swarm"]),
    }
    return known(Status, {**data, **parts})

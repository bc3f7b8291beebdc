"""The client's calls about the daemon itself, without I/O, as `_calls` are about memories."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from hiveminddb._message import Call, Request, as_each, as_one, ask, later, send

if TYPE_CHECKING:
    from hiveminddb.upkeep import Check, Health, Setting, Status, VaultStatus

Choice = Literal["accept_deletions", "restore_files", "recreate"]

_upkeep = partial(later, "_parse_upkeep")


def status() -> Call[Status]:
    """The daemon's health."""
    return Call(ask("/status"), as_one(_upkeep("status")))


def metrics() -> Call[str]:
    """Counters in Prometheus' text format."""
    return Call(ask("/metrics"), lambda response: response.body.decode())


def config() -> Call[list[Setting]]:
    """The daemon's settings, each with where its value came from."""
    return Call(ask("/config"), as_each(_upkeep("setting")))


def resolve_vault(choice: Choice) -> Call[VaultStatus]:
    """Answers a vault that stopped to ask: keep its deletions, write the files again, or make the folder anew."""
    return Call(send("POST", "/vault/resolve", {"choice": choice}), as_one(_upkeep("vault_status")))


def doctor(*, rebuild: bool = False, check: bool = True) -> Call[list[Check]]:
    """Checks the daemon's parts and repairs what it can; `rebuild` derives everything from the change log again."""
    return Call(send("POST", "/doctor", {"rebuild": rebuild, "check": check}), as_each(_upkeep("check")))


def health() -> Call[Health]:
    """Who answers."""
    return Call(Request("GET", "/health"), as_one(_upkeep("health")))

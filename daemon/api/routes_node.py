"""Routes about the daemon itself: health, settings, counters, its description, and upkeep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hiveminddb.answers import Imported
from hiveminddb.daemon.api.http import BULK_BODY_LIMIT, Answer, Call, Route, encoded
from hiveminddb.daemon.api.metrics import Metrics
from hiveminddb.daemon.api.requests import Nothing
from hiveminddb.daemon.api.upkeep_requests import Examination, Import, VaultAnswer
from hiveminddb.daemon.config import Setting
from hiveminddb.daemon.guarantees import Writing
from hiveminddb.daemon.usecases import UseCases
from hiveminddb.upkeep import Check, Status, VaultStatus

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Health:
    """Who answers here."""

    status: Literal["ok"]
    version: str
    node_id: str


async def status(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.status())


async def import_files(cases: UseCases, call: Call[Import, Writing]) -> Answer:
    return encoded(await cases.import_files(call.body.import_files(), call.query.ack))


async def resolve_vault(cases: UseCases, call: Call[VaultAnswer, Nothing]) -> Answer:
    return encoded(await cases.resolve_vault(call.body.choice))


async def doctor(cases: UseCases, call: Call[Examination, Nothing]) -> Answer:
    return encoded(await cases.doctor(call.body.rebuild, call.body.check))


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/api/v1/status", status, "The daemon in one screen", Nothing, Nothing, Status),
    Route(
        "POST",
        "/api/v1/import",
        import_files,
        "Take markdown files in",
        Import,
        Writing,
        Imported,
        body_limit=BULK_BODY_LIMIT,
    ),
    Route(
        "POST", "/api/v1/vault/resolve", resolve_vault, "Answer a vault that asks", VaultAnswer, Nothing, VaultStatus
    ),
    Route(
        "POST",
        "/api/v1/doctor",
        doctor,
        "Check and repair",
        Examination,
        Nothing,
        list[Check],
        body_optional=True,
    ),
)


def about_routes(health: Health, settings: Sequence[Setting], metrics: Metrics) -> tuple[Route[Any, Any], ...]:
    """The routes that need no use case; health is answered from memory alone."""
    alive = encoded(health)
    config = encoded(settings)

    async def tell_health(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
        return alive

    async def tell_config(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
        return config

    async def tell_metrics(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
        text = metrics.text(await cases.status())
        return Answer(200, text.encode(), content_type=PROMETHEUS.encode())

    counters = "Counters in Prometheus' text format"
    return (
        Route("GET", "/health", tell_health, "Whether the daemon lives", Nothing, Nothing, Health),
        Route("GET", "/api/v1/config", tell_config, "Settings and their sources", Nothing, Nothing, list[Setting]),
        Route("GET", "/api/v1/metrics", tell_metrics, counters, Nothing, Nothing, str, content_type=PROMETHEUS),
    )

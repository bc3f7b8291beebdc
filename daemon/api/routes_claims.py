"""Routes of what only consensus decides: leases and registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hiveminddb.daemon.api.http import Answer, Call, Route, encoded
from hiveminddb.daemon.api.requests import Nothing
from hiveminddb.daemon.api.swarm_requests import HeldLease, NewLease, NewValue
from hiveminddb.daemon.guarantees import Reading
from hiveminddb.daemon.usecases import UseCases
from hiveminddb.errors import InvalidInput
from hiveminddb.swarm import Lease, Register


@dataclass(frozen=True, slots=True)
class Released:
    """A key that nobody holds any more."""

    key: str
    released: Literal[True] = True


async def leases(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.claims.leases())


async def acquire(cases: UseCases, call: Call[NewLease, Nothing]) -> Answer:
    return encoded(await cases.claims.lease(call.body.key, call.body.holder, call.body.ttl_s), 201)


async def held(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.claims.held(call.path["key"]))


async def renew(cases: UseCases, call: Call[HeldLease, Nothing]) -> Answer:
    return encoded(await cases.claims.renew(call.path["key"], call.body.token))


async def release(cases: UseCases, call: Call[HeldLease, Nothing]) -> Answer:
    return await _released(cases, call.path["key"], call.body.token)


async def delete(cases: UseCases, call: Call[Nothing, HeldLease]) -> Answer:
    return await _released(cases, call.path["key"], call.query.token)


async def _released(cases: UseCases, key: str, token: int) -> Answer:
    await cases.claims.release(key, token)
    return encoded(Released(key))


async def register(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.claims.register(call.path["key"]))


async def set_register(cases: UseCases, call: Call[NewValue, Nothing]) -> Answer:
    asked = call.body
    if asked.version is None and asked.expected is None:
        raise InvalidInput(
            "neither `version` nor `expected` is given", "give the version you have read, 0 for a new register"
        )
    return encoded(await cases.claims.set_register(call.path["key"], asked.value, asked.version, asked.expected))


_LEASES = "/api/v1/leases"
_LEASE = "/api/v1/leases/{key:path}"
_REGISTER = "/api/v1/registers/{key:path}"

ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", _LEASES, leases, "Every lease, by key", Nothing, Reading, list[Lease]),
    Route("POST", _LEASES, acquire, "Take a key for one holder alone", NewLease, Nothing, Lease, 201),
    # Before the key alone, which may hold slashes.
    Route("POST", _LEASE + "/renew", renew, "Let a lease last its whole time again", HeldLease, Nothing, Lease),
    Route("POST", _LEASE + "/release", release, "Give a key free", HeldLease, Nothing, Released),
    Route("GET", _LEASE, held, "Who holds a key", Nothing, Reading, Lease),
    Route("DELETE", _LEASE, delete, "Give a key free", Nothing, HeldLease, Released, body_optional=True),
    Route("GET", _REGISTER, register, "A register's value and version", Nothing, Reading, Register),
    Route("PUT", _REGISTER, set_register, "Compare and set a register", NewValue, Nothing, Register),
)

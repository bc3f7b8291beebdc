"""Claims: what only consensus decides; each is proposed, and answered with what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import (
    KEY_LENGTH,
    LONGEST_TTL_MS,
    SHORTEST_TTL_MS,
    VALUE_LENGTH,
    Claim,
    ClaimName,
    Grant,
    Handover,
    Membership,
    Release,
    ReleaseName,
    Renew,
    SetRegister,
)
from hiveminddb.daemon.swarm.deciding import Result
from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown, TooLarge, Unavailable
from hiveminddb.store import claims
from hiveminddb.store.claims import LeaseRow, RegisterRow
from hiveminddb.store.database import Database
from hiveminddb.swarm import Lease, Register

# A decision takes milliseconds; this long is waited for a leader to be elected, or for an answer that got lost.
DECIDED_SECONDS = 10.0
# An attempt that has not been answered by then is made again, with the same id.
ATTEMPT_SECONDS = 3.0


class Proposals(Protocol):
    """Where commands are proposed: the swarm's consensus."""

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109 (Raft's own signature)
        """The index it is committed at; NoQuorum where it certainly is not, OutcomeUnknown after `timeout` seconds."""
        ...


async def decided(log: Proposals, machine: Machine, command: Claim | Membership | Handover) -> Result:
    """What became of the command, done once however often it had to be proposed; NoQuorum, OutcomeUnknown."""
    payload = commands.encode(command)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DECIDED_SECONDS
    with machine.expecting(command.id) as result:
        unknown: OutcomeUnknown | None = None
        while not result.done() and (left := deadline - loop.time()) > 0:
            try:
                await log.propose(payload, min(left, ATTEMPT_SECONDS))
                break
            except OutcomeUnknown as error:
                unknown = error
            except Unavailable:
                if unknown is None:
                    raise
                # Not this time, but an attempt before may have come through.
                await asyncio.wait([result], timeout=min(left, ATTEMPT_SECONDS / 10))
        await asyncio.wait([result], timeout=max(deadline - loop.time(), 0))
        if result.done():
            return result.result()
    raise OutcomeUnknown(
        "the swarm has not answered in time whether this was decided",
        "look whether it was (hmd lease list, hmd swarm) before you ask again",
    ) from unknown


class Claims:
    """Leases, registers and unique names, for the API and for the daemon itself."""

    def __init__(self, database: Database, log: Proposals, machine: Machine) -> None:
        self._database, self._log, self._machine = database, log, machine

    # -- leases

    async def lease(self, key: str, holder: str, ttl_s: float) -> Lease:
        """The key for this holder alone; Conflict while anyone holds it."""
        ttl_ms = _milliseconds(ttl_s)
        command = Grant(commands.new_id(), _name(key, "key"), _name(holder, "holder"), ttl_ms)
        result = await self._decided(command)
        if result.outcome == "held":
            raise Conflict(
                f"{key} is held by {result.text} (token {result.number})",
                "wait until it is released or its time is over, then try again",
            )
        return Lease(key, holder, result.number, ttl_ms / 1000)

    async def renew(self, key: str, token: int) -> Lease:
        """The time to live starts anew; Conflict where the lease has ended or is another's."""
        result = await self._decided(Renew(commands.new_id(), _name(key, "key"), _number(token, "token")))
        _refuse_ended(key, token, result)
        return await self.held(key, token)

    async def release(self, key: str, token: int) -> None:
        """Gives the key free; Conflict where the lease has ended or is another's."""
        result = await self._decided(Release(commands.new_id(), _name(key, "key"), _number(token, "token")))
        _refuse_ended(key, token, result)

    async def leases(self) -> Sequence[Lease]:
        """All leases, by key, as far as this node knows."""
        return [_lease(row) for row in await self._database.read(claims.leases)]

    async def held(self, key: str, token: int | None = None) -> Lease:
        """Who holds a key, with that token where one is given; NotFound where nobody does."""
        row = await self._database.read(lambda db: claims.lease(db, key))
        if row is None or token not in (None, row.token):
            raise NotFound(f"nobody holds {key[:KEY_LENGTH]}", "hmd lease list tells what is held")
        return _lease(row)

    # -- registers

    async def register(self, key: str) -> Register:
        """NotFound where it was never set."""
        row = await self._database.read(lambda db: claims.register(db, key))
        if row is None:
            raise NotFound(f"no register {key[:KEY_LENGTH]}", "set it first, with version 0")
        return _register(row)

    async def set_register(self, key: str, value: str, version: int | None, expected: str | None) -> Register:
        """Sets it if it has that version (0: none yet), or that value; else Conflict tells what it has."""
        if version is None and expected is None:
            raise InvalidInput(
                "neither `version` nor `expected` is given", "give the version you have read, 0 for a new register"
            )
        for text, where in ((value, "value"), (expected or "", "expected")):
            if len(text) > VALUE_LENGTH:
                raise TooLarge(f"{where}: longer than {VALUE_LENGTH} characters", "keep long text in a memory")
        number = None if version is None else _number(version, "version")
        command = SetRegister(commands.new_id(), _name(key, "key"), value, number, expected)
        result = await self._decided(command)
        if result.outcome == "mismatch":
            raise Conflict(f"register {key} is at version {result.number}, not what you expect", "read it again")
        return Register(key, value, result.number)

    # -- names

    async def claim_name(self, name: str, holder: str) -> None:
        """The name for this holder alone, or again where it is its own; Conflict where another bears it."""
        result = await self._decided(ClaimName(commands.new_id(), _name(name, "name"), _name(holder, "holder")))
        _refuse_taken(name, result)

    async def release_name(self, name: str, holder: str) -> None:
        """Gives a name up; harmless where nobody bears it, Conflict where another does."""
        result = await self._decided(ReleaseName(commands.new_id(), _name(name, "name"), _name(holder, "holder")))
        _refuse_taken(name, result)

    async def _decided(self, command: Claim) -> Result:
        result = await decided(self._log, self._machine, command)
        if result.outcome == "full":
            raise Conflict(f"the swarm keeps at most {result.number} of these", "give free what is not needed")
        return result


def _lease(row: LeaseRow) -> Lease:
    return Lease(row.key, row.holder, row.token, row.ttl_ms / 1000)


def _register(row: RegisterRow) -> Register:
    return Register(row.key, row.value, row.version)


def _refuse_ended(key: str, token: int, result: Result) -> None:
    if result.outcome == "gone":
        now = f"it is held by {result.text} (token {result.number})" if result.text else "nobody holds it"
        raise Conflict(f"the lease on {key} with token {token} has ended, {now}", "stop the work it protects")


def _refuse_taken(name: str, result: Result) -> None:
    if result.outcome == "taken":
        raise Conflict(f"the name {name} belongs to {result.text}", "choose another")


def _name(text: str, where: str) -> str:
    if not text:
        raise InvalidInput(f"{where}: must not be empty", "give it a value")
    if len(text) > KEY_LENGTH:
        raise TooLarge(f"{where}: longer than {KEY_LENGTH} characters", "give a shorter one")
    return text


def _number(value: int, where: str) -> int:
    if not 0 <= value < 2**63:
        raise InvalidInput(f"{where}: {value} is out of range", "give the number you were answered")
    return value


def _milliseconds(ttl_s: float) -> int:
    # Not a number is not between them either.
    if not SHORTEST_TTL_MS <= ttl_s * 1000 <= LONGEST_TTL_MS:
        shortest, longest = SHORTEST_TTL_MS / 1000, LONGEST_TTL_MS // 1000
        raise InvalidInput(f"ttl_s: {ttl_s:g} is not between {shortest:g} and {longest}", "give seconds, such as 30")
    return round(ttl_s * 1000)

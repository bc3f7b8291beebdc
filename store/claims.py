"""What consensus has given out: leases, registers and unique names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw


class LeaseRow(NamedTuple):
    """A key and its one holder; `granted` is the step that granted or last renewed it."""

    key: str
    holder: str
    token: int
    ttl_ms: int
    granted: int


class RegisterRow(NamedTuple):
    """A value that only compare-and-set changes; `version` counts its changes from 1."""

    key: str
    value: str
    version: int


class NameRow(NamedTuple):
    """A name only one may bear, and who does."""

    name: str
    holder: str


_LEASE = "SELECT key, holder, token, ttl_ms, granted FROM leases"
_REGISTER = "SELECT key, value, version FROM registers"
_NAME = "SELECT name, holder FROM names"


def lease(connection: apsw.Connection, key: str) -> LeaseRow | None:
    """Who holds a key, None where nobody does."""
    row = connection.execute(f"{_LEASE} WHERE key = ?", (key,)).fetchone()
    return LeaseRow(*row) if row else None


def leases(connection: apsw.Connection) -> list[LeaseRow]:
    """All leases, by key."""
    return [LeaseRow(*row) for row in connection.execute(f"{_LEASE} ORDER BY key")]


def put_lease(connection: apsw.Connection, row: LeaseRow) -> None:
    """Gives a key to a holder, whoever had it."""
    connection.execute(
        "INSERT OR REPLACE INTO leases (key, holder, token, ttl_ms, granted) VALUES (?, ?, ?, ?, ?)", row
    )


def drop_lease(connection: apsw.Connection, key: str) -> None:
    """Nobody holds the key from now on."""
    connection.execute("DELETE FROM leases WHERE key = ?", (key,))


def register(connection: apsw.Connection, key: str) -> RegisterRow | None:
    """A register, None where it was never set."""
    row = connection.execute(f"{_REGISTER} WHERE key = ?", (key,)).fetchone()
    return RegisterRow(*row) if row else None


def registers(connection: apsw.Connection) -> list[RegisterRow]:
    """All registers, by key."""
    return [RegisterRow(*row) for row in connection.execute(f"{_REGISTER} ORDER BY key")]


def put_register(connection: apsw.Connection, row: RegisterRow) -> None:
    """Sets a register."""
    connection.execute("INSERT OR REPLACE INTO registers (key, value, version) VALUES (?, ?, ?)", row)


def name(connection: apsw.Connection, name: str) -> NameRow | None:
    """Who bears a name, None where nobody does."""
    row = connection.execute(f"{_NAME} WHERE name = ?", (name,)).fetchone()
    return NameRow(*row) if row else None


def names(connection: apsw.Connection) -> list[NameRow]:
    """All unique names, in order."""
    return [NameRow(*row) for row in connection.execute(f"{_NAME} ORDER BY name")]


def put_name(connection: apsw.Connection, row: NameRow) -> None:
    """Gives a name to its bearer."""
    connection.execute("INSERT OR REPLACE INTO names (name, holder) VALUES (?, ?)", row)


def drop_name(connection: apsw.Connection, name: str) -> None:
    """Nobody bears the name from now on."""
    connection.execute("DELETE FROM names WHERE name = ?", (name,))


def count(connection: apsw.Connection, table: str) -> int:
    """How many there are of "leases", "registers" or "names"."""
    return int(connection.execute(f"SELECT count(*) FROM {table}").get)


def replace_all(
    connection: apsw.Connection,
    leases: Iterable[LeaseRow],
    registers: Iterable[RegisterRow],
    names: Iterable[NameRow],
) -> None:
    """These claims instead of all there are."""
    connection.execute("DELETE FROM leases; DELETE FROM registers; DELETE FROM names")
    for lease_row in leases:
        put_lease(connection, lease_row)
    for register_row in registers:
        put_register(connection, register_row)
    for name_row in names:
        put_name(connection, name_row)

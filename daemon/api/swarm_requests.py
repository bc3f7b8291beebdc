"""What callers send to the swarm: bodies and queries about membership and claims."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hiveminddb.daemon.swarm.commands import KEY_LENGTH, LONGEST_TTL_MS, SHORTEST_TTL_MS, VALUE_LENGTH

Key = Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH)]
Value = Annotated[str, Meta(max_length=VALUE_LENGTH)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Ttl = Annotated[float, Meta(ge=SHORTEST_TTL_MS / 1000, le=LONGEST_TTL_MS / 1000)]


class NewLease(Struct, forbid_unknown_fields=True):
    """A lease to be had: its key, who asks, and how many seconds it lasts without being renewed."""

    key: Key
    holder: Key
    ttl_s: Ttl = 30.0


class HeldLease(Struct, forbid_unknown_fields=True):
    """Which lease, by the token that it was granted with."""

    token: Number


class NewValue(Struct, forbid_unknown_fields=True):
    """A register's next value, and what it must have now: a version (0: none yet), or a value."""

    value: Value
    version: Number | None = None
    expected: Value | None = None


class JoinCode(Struct, forbid_unknown_fields=True):
    """The code that `hmd invite` printed on the other machine."""

    code: Annotated[str, Meta(min_length=1, max_length=200)]


class NewName(Struct, forbid_unknown_fields=True):
    """What this machine shall be called in its swarm."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]

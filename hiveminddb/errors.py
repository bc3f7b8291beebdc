"""Errors a user can meet; each says what was wrong, with what value, and what to do next.

HiveMindError
├── InvalidInput          a request that cannot be understood               400
├── NotFound              no such memory, topic or page                     404
├── Conflict              the memory is not in the state the caller thinks  409
├── Ambiguous             an id prefix that fits several memories           409
├── TooLarge              a body or text over its limit                     413
├── MethodNotAllowed      the path exists, not with this method             405
├── TooSlow               a request that did not arrive in time             408
├── Forbidden             not allowed from here                             403
├── Unauthorized          a token is missing or not valid                   401
├── Unavailable           a part of the daemon is away; try again           503
│   ├── NotReachable      no daemon answers at that address                 (client side)
│   ├── NoQuorum          a majority of the swarm cannot be reached         503
│   └── OutcomeUnknown    asked for, and not known whether it was decided   503
├── InvalidFrame          a peer sent what is no message                    (between nodes)
├── StorageError          the database cannot be read or written            507
│   ├── DiskFull
│   ├── ReadOnly
│   ├── Corrupt
│   └── NewerDatabase
├── VaultError            the vault folder cannot be trusted or used        409
├── AlreadyRunning        another daemon owns the data folder               409
└── InvalidConfig         a setting that cannot be understood               400
"""

from __future__ import annotations


class HiveMindError(Exception):
    """Base of all; `message` names what was wrong, `hint` what to do next."""

    code = "error"
    status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(HiveMindError):
    code, status = "invalid_input", 400


class NotFound(HiveMindError):
    code, status = "not_found", 404


class Conflict(HiveMindError):
    code, status = "conflict", 409


class Ambiguous(Conflict):
    code = "ambiguous"


class TooLarge(HiveMindError):
    code, status = "too_large", 413


class MethodNotAllowed(HiveMindError):
    code, status = "method_not_allowed", 405


class TooSlow(HiveMindError):
    code, status = "too_slow", 408


class Forbidden(HiveMindError):
    code, status = "forbidden", 403


class Unauthorized(HiveMindError):
    code, status = "unauthorized", 401


class Unavailable(HiveMindError):
    code, status = "unavailable", 503


class NotReachable(Unavailable):
    code = "not_reachable"


class NoQuorum(Unavailable):
    """Certainly not decided: nothing was proposed."""

    code = "no_quorum"


class OutcomeUnknown(Unavailable):
    """Proposed, and the answer never came: it may be decided yet."""

    code = "unknown"


class InvalidFrame(HiveMindError):
    code, status = "invalid_frame", 502


class StorageError(HiveMindError):
    code, status = "storage", 507


class DiskFull(StorageError):
    code = "disk_full"


class ReadOnly(StorageError):
    code = "read_only"


class Corrupt(StorageError):
    code = "corrupt"


class NewerDatabase(StorageError):
    code = "newer_database"


class VaultError(HiveMindError):
    code, status = "vault", 409


class AlreadyRunning(HiveMindError):
    code, status = "already_running", 409


class InvalidConfig(HiveMindError):
    code, status = "invalid_config", 400

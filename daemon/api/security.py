"""Who may ask: on loopback nobody but local programs, elsewhere whoever carries the token."""

from __future__ import annotations

import functools
import hmac
import ipaddress
import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from hiveminddb.errors import Forbidden, InvalidConfig, Unauthorized

log = logging.getLogger(__name__)

RawHeaders = Iterable[tuple[bytes, bytes]]


class Guard(Protocol):
    """Decides by a request's headers; raises Forbidden or Unauthorized."""

    def check(self, headers: RawHeaders) -> None: ...


class LoopbackGuard:
    """No token, but the Host must be this machine and the Origin, if any, the daemon's own page.

    A web page elsewhere can make a browser send requests here, directly or by pointing its own name at 127.0.0.1.
    """

    def check(self, headers: RawHeaders) -> None:
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not _is_local(hosts[0]):
            named = b", ".join(hosts).decode("latin-1")[:100] or "none"
            raise Forbidden(f"the Host header is not this machine: {named}", "ask http://127.0.0.1 or http://localhost")
        for name, value in headers:
            if name == b"origin" and value.lower() not in (
                b"http://" + hosts[0].lower(),
                b"https://" + hosts[0].lower(),
            ):
                raise Forbidden(
                    f"requests from {value.decode('latin-1')[:100]} are not accepted",
                    "only the daemon's own page may ask from a browser",
                )


class TokenGuard:
    """Every request carries `Authorization: Bearer <token>`."""

    def __init__(self, token: str) -> None:
        self._expected = b"bearer " + token.encode()

    def check(self, headers: RawHeaders) -> None:
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1 or not hmac.compare_digest(_normal(given[0]), self._expected):
            raise Unauthorized(
                "a valid token is missing",
                "send `Authorization: Bearer <token>`; the token is in the file `token` of the daemon's data folder",
            )


def _normal(authorization: bytes) -> bytes:
    scheme, _, token = authorization.strip().partition(b" ")
    return scheme.lower() + b" " + token.strip()


@functools.lru_cache(maxsize=64)
def _is_local(host: bytes) -> bool:
    try:
        name = urlsplit(b"//" + host).hostname or b""
    except ValueError:
        return False
    return is_loopback(name.decode("latin-1"))


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guard_for(listen_host: str, token_file: Path) -> Guard:
    """The guard an address asks for; makes the token at the first start that needs one."""
    return LoopbackGuard() if is_loopback(listen_host) else TokenGuard(_token(token_file))


def _token(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _existing_token(path)
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    log.info("token created path=%s", path)
    return token


def _existing_token(path: Path) -> str:
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if len(token) < 16 or not token.isascii():
        raise InvalidConfig(f"no usable token in {path}", "remove the file: a new token is made at the next start")
    path.chmod(0o600)
    return token

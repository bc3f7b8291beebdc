"""Where the daemon is: the address given, the environment, the running daemon's own word, the default."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hiveminddb.errors import NotReachable

DEFAULT_URL = "http://127.0.0.1:8100"


@dataclass(frozen=True, slots=True)
class Address:
    """A daemon's URL and token; `pid` where the daemon told it, `given` when somebody named the URL."""

    url: str
    token: str | None = None
    pid: int | None = None
    given: bool = False


def data_dir(given: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The daemon's data folder: as given, HIVEMIND_DATA_DIR, or where such data belongs."""
    named = given or environ.get("HIVEMIND_DATA_DIR")
    place = Path(named) if named else Path(environ.get("XDG_DATA_HOME") or "~/.local/share") / "hiveminddb"
    return place.expanduser().absolute()


def running(folder: Path) -> Address | None:
    """What the daemon of a data folder wrote about itself; None if it wrote nothing (it may have died since)."""
    try:
        told = json.loads((folder / "daemon.json").read_bytes())
        return Address(str(told["url"]), _token(folder), int(told["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _token(folder: Path) -> str | None:
    """The token a daemon that listens beyond this machine keeps beside its data."""
    try:
        return (folder / "token").read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def find(
    url: str | None = None,
    token: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Address:
    """The daemon to talk to: url, HIVEMIND_URL, HIVEMINDDB_URL, the daemon of the data folder, the default address.

    A data folder somebody named never leads to another folder's daemon: NotReachable when it has none.
    """
    token = token or environ.get("HIVEMIND_TOKEN") or None
    named = url or (None if folder else environ.get("HIVEMIND_URL") or environ.get("HIVEMINDDB_URL"))
    if named:
        return Address(named, token, given=True)
    told = running(data_dir(folder, environ))
    if told:
        return Address(told.url, token or told.token, told.pid)
    if folder or environ.get("HIVEMIND_DATA_DIR"):
        raise NotReachable(f"no daemon runs for {data_dir(folder, environ)}", "start it with: hmd up")
    return Address(DEFAULT_URL, token)

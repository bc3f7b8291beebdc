"""`daemon.json` in the data folder: where the daemon of this folder answers, while it does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE = "daemon.json"


@contextlib.contextmanager
def announced(data_dir: Path, url: str, version: str) -> Iterator[None]:
    """Says where the daemon answers; after a crash the file stays, and its pid is nobody's."""
    path = data_dir / FILE
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode({"url": url, "pid": os.getpid(), "version": version}))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)

"""When missing files mean a missing disk and not somebody's wish. Pure but for the marker file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hiveminddb.vault.topics import RESERVED

MARKER = "marker"

# Fewer than this many gone at once can be put back by hand; of very few files only the loss of all is suspicious.
BULK = 10
ALL_OF = 3


def deleted_in_bulk(known: int, gone: int, new: int = 0) -> bool:
    """Whether files gone while nobody watched are too many to be believed; each new one may be one of them renamed."""
    lost = gone - new
    return (lost >= BULK and lost * 2 > known) or (known >= ALL_OF and lost == known)


def marker_of(root: Path) -> str:
    """The id of the vault in this folder; empty where there is none."""
    try:
        return (root / RESERVED / MARKER).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def found_vault(root: Path) -> str:
    """Make this folder a vault if it is none yet; its id."""
    folder = root / RESERVED
    folder.mkdir(parents=True, exist_ok=True)
    if known := marker_of(root):
        return known
    marker = secrets.token_hex(10)
    # Whole or not at all: half a marker would look like another vault's.
    staged = folder / f"{MARKER}.new"
    with staged.open("w", encoding="ascii") as file:
        file.write(marker + "\n")
        file.flush()
        os.fsync(file.fileno())
    # Nothing in here belongs in anybody's repository.
    (folder / ".gitignore").write_text("*\n", encoding="ascii")
    staged.replace(folder / MARKER)
    return marker

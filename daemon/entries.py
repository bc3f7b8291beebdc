"""Documents to be made, and who makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Who made the changes that a save was taken for.
BY_FILE = "file"
# In whose name a merge is tidied up.
BY_MERGE = "merge"


def copy_of(id: str) -> str:
    """Why an entry was made that says the same as one that stands in its file already."""
    return f"copy of {id}"


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change and why, as its record keeps it."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A document to be made: its text and its fields, `topic`, `position` and `role` among them."""

    text: str
    fields: Mapping[str, Any]
    author: Author
    # For a text that another node may have too, and make the same document of: how many of the file's were equal to it.
    equals: int | None = None
    # When the text was written, in microseconds, where that was before now.
    written_at: int | None = None

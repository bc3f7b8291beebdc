"""A file's text as it was found, and what is known of how it came to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file's text as found; `written_at` in microseconds.

    `unread` where nobody can have read our last write, `hasty` where it came too soon after that to be an answer to it.
    """

    topic: str
    text: str
    digest: str
    written_at: int
    unread: bool = False
    hasty: bool = False

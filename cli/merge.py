"""Three texts of lines -> one, where two people changed different places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class _Edit:
    begin: int
    end: int
    lines: tuple[str, ...]


def merge(base: str, mine: str, theirs: str) -> str | None:
    """Both changes of the base together; None where they touch the same or neighbouring lines differently."""
    lines = base.splitlines(keepends=True)
    edits = sorted({*_edits(lines, mine), *_edits(lines, theirs)}, key=lambda edit: (edit.begin, edit.end))
    if any(left.end >= right.begin for left, right in zip(edits, edits[1:], strict=False)):
        return None
    for edit in reversed(edits):
        lines[edit.begin : edit.end] = edit.lines
    return "".join(lines)


def _edits(base: list[str], changed: str) -> Iterator[_Edit]:
    lines = changed.splitlines(keepends=True)
    for kind, begin, end, first, last in SequenceMatcher(None, base, lines, autojunk=False).get_opcodes():
        if kind != "equal":
            yield _Edit(begin, end, tuple(lines[first:last]))

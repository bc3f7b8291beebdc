"""What was made here of a copied file, when that comes of which it is a copy: it stands in the file once.

People carry files from machine to machine by other ways too, by git or by hand, and let the machines share one memory
later. Two memories of one topic that have said the same, word for word, and that nobody has made both, are one. What
was said since in either is merged. Only the maker of a copy acts, and by changes like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hiveminddb.daemon.entries import BY_FILE, BY_MERGE, Author, copy_of
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.retiring import retire
from hiveminddb.model import Change
from hiveminddb.store import changes, topic_files
from hiveminddb.store.rows import MemoryRow, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync import document
from hiveminddb.sync.document import Content
from hiveminddb.vault import markdown
from hiveminddb.vault.choosing import begins_alone

# How many of the last texts of a memory are compared.
_VERSIONS = 64
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class _Life:
    """A memory, the changes of it, and what it said after the last of these."""

    row: MemoryRow
    made: Sequence[Change]
    said: Sequence[Content]

    @property
    def makers(self) -> set[str]:
        return {change.origin for change in self.made if change.action == "add"}

    @property
    def is_from_file(self) -> bool:
        return any(change.action == "add" and change.actor == BY_FILE for change in self.made)

    @property
    def only_says_text(self) -> bool:
        """Whether nobody gave it more than a text, or brought it back."""
        is_restored = any(change.action == "restore" for change in self.made)
        return not is_restored and _given(self.said[0]) == _given(self.said[-1])

    def is_made_on_purpose_of(self, other: _Life) -> bool:
        """Whether somebody copied the other within the file."""
        return any(change.reason == copy_of(other.row.id) for change in self.made)

    def state_at(self, version: int) -> bytes:
        return document.merge(*(change.update for change in self.made[: len(self.made) - len(self.said) + version + 1]))


def leave_one(tx: Transaction, pipeline: Pipeline, came: MemoryRow) -> None:
    """Of a memory that has come and one that it is a copy of, or that is a copy of it, one stays."""
    others = _others(tx, pipeline, came)
    fresh = tx.memory(came.id) if others else None
    if fresh is None or not fresh.alive:
        return
    came_life = _life(tx, fresh)
    for life in (_life(tx, row) for row in others):
        if _join(tx, pipeline, life, came_life) or _join(tx, pipeline, came_life, life):
            return


def _others(tx: Transaction, pipeline: Pipeline, came: MemoryRow) -> list[MemoryRow]:
    """The memories beside it that may be the same, one of the two made here of a file: heads both, or of one second.

    What was made of a file has the time of its heading; what came by the API was made in the course of that second.
    """
    if came.role == HEAD:
        found = topic_files.heads_of(tx.connection, came.topic)
    elif written_at := markdown.heading_time(came.text):
        at = to_microseconds(written_at)
        is_ours = came.created_at == at and pipeline.has_made(tx, came.id)
        found = topic_files.living_of(tx.connection, came.topic, at, at + (_SECOND if is_ours else 1))
        found = found if is_ours else [row for row in found if pipeline.has_made(tx, row.id)]
    else:
        found = []
    return [row for row in found if row.id != came.id]


def _join(tx: Transaction, pipeline: Pipeline, copy: _Life, original: _Life) -> bool:
    """The original says what the copy said since they were the same, and the copy goes; False where it is none."""
    if not _may_go(copy, original) or copy.makers.isdisjoint(pipeline.names):
        return False
    last = {content.text: version for version, content in enumerate(original.said)}
    common = next((content.text for content in reversed(copy.said) if content.text in last), None)
    if common is None or (common != copy.row.text and not _may_go_on(copy, common)):
        return False
    why = Author(BY_MERGE, f"its file was copied, and so was {original.row.id}")
    if common != copy.row.text:
        state = original.state_at(last[common])
        pipeline.edit(tx, original.row, "update", why, text=copy.row.text, state=state)
    retire(tx, pipeline, copy.row, why)
    return True


def _may_go(copy: _Life, original: _Life) -> bool:
    """Decided by what never changes, so that of two copies no two nodes take one each away."""
    if not (copy.is_from_file and copy.only_says_text) or copy.makers & original.makers:
        return False
    if copy.is_made_on_purpose_of(original) or original.is_made_on_purpose_of(copy):
        return False
    return not original.is_from_file or original.row.id < copy.row.id


def _may_go_on(copy: _Life, common: str) -> bool:
    """Whether what was said since is to be merged: once, and where few would have begun with the same words."""
    is_joined = any(change.action == "invalidate" for change in copy.made)
    return not is_joined and begins_alone(common, copy.row.role == HEAD)


def _life(tx: Transaction, row: MemoryRow) -> _Life:
    made = changes.changes_of(tx.connection, row.id)
    updates = [change.update for change in made]
    begun = max(1, len(updates) - _VERSIONS + 1)
    return _Life(row, made, list(document.steps([document.merge(*updates[:begun]), *updates[begun:]])))


def _given(content: Content) -> dict[str, Any]:
    """What a document says beside its text, its place, and that it is gone."""
    beside = {"topic", "position", "role", "invalidated"} | content.births
    return {name: value for name, value in content.fields.items() if name not in beside}

"""What the node that made a document does when others, who did not know of it, changed the file that it stands in.

Only the maker acts, and by changes like any other: all nodes end the same, and nothing is decided twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from hiveminddb.daemon.entries import BY_MERGE, Author
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.retiring import retire
from hiveminddb.model import Change
from hiveminddb.store import topic_files
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.encoding import new_client
from hiveminddb.vault import markdown


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file that a change has renamed, and what stood under its old name just then."""

    old: str
    new: str
    left: frozenset[str]


def follow(tx: Transaction, pipeline: Pipeline, renamed: Renamed, followed: Set[str]) -> list[MemoryRow]:
    """Elsewhere a file was renamed: entries made here, which were not known there, go with it.

    What has come under the old name since is another file's, unless it has `followed` an earlier rename there.
    """
    author, client = Author(BY_MERGE, f"its file was renamed from {renamed.old}"), new_client()
    return [
        pipeline.edit(tx, row, "move", author, fields={"topic": renamed.new}, client=client)
        for row in tx.entries_of(renamed.old)
        if row.id in renamed.left | followed and pipeline.has_made(tx, row.id)
    ]


def leave_one_head(tx: Transaction, pipeline: Pipeline, topic: str) -> None:
    """A head made here that says no more than the file's name goes where another stands too."""
    heads = topic_files.heads_of(tx.connection, topic)
    bare = [row for row in heads if not row.listed and not markdown.front_matter_end(row.text)]
    spare = bare[1:] if len(bare) == len(heads) else bare
    for row in spare:
        if pipeline.has_made(tx, row.id):
            retire(tx, pipeline, row, Author(BY_MERGE, "another head stands in its file"))


def renamed_file(tx: Transaction, change: Change, before: MemoryRow | None, after: MemoryRow) -> Iterable[Renamed]:
    """The file that a change which has just been projected has renamed, if any; a pasted head takes no file along."""
    # Who follows a rename renames nothing: else two that follow each other never come to rest.
    if change.action != "move" or change.actor == BY_MERGE:
        return
    if before and before.role == HEAD == after.role and before.alive and after.alive:
        if before.topic != after.topic:
            yield Renamed(before.topic, after.topic, frozenset(row.id for row in tx.entries_of(before.topic)))

"""What the node that made a document does when others, who did not know of it, changed the file that it stands in.

Only the maker acts, and by changes like any other: all nodes end the same, and nothing is decided twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.projection import HEAD
from hiveminddb.daemon.retiring import retire
from hiveminddb.model import Change
from hiveminddb.store import history
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.encoding import new_client
from hiveminddb.vault import markdown

# In whose name a merge is tidied up.
BY_MERGE = "merge"


def follow(tx: Transaction, pipeline: Pipeline, old: str, new: str) -> list[MemoryRow]:
    """Elsewhere a file was renamed: entries made here, which were not known there, go with it."""
    author, client = Author(BY_MERGE, f"its file was renamed from {old}"), new_client()
    return [
        pipeline.edit(tx, row, "move", author, fields={"topic": new}, client=client)
        for row in tx.entries_of(old)
        if _made_here(tx, pipeline, row)
    ]


def leave_one_head(tx: Transaction, pipeline: Pipeline, topic: str) -> None:
    """A head made here that says no more than the file's name goes where another stands too."""
    heads = [row for row in tx.entries_of(topic) if row.role == HEAD]
    bare = [row for row in heads if not row.listed and not markdown.front_matter_end(row.text)]
    spare = bare[1:] if len(bare) == len(heads) else bare
    for row in spare:
        if _made_here(tx, pipeline, row):
            retire(tx, pipeline, row, Author(BY_MERGE, "another head stands in its file"))


def moved_heads(change: Change, before: MemoryRow | None, after: MemoryRow) -> Iterable[tuple[str, str]]:
    """The old and the new topic of a file that a change has renamed; a pasted head takes no file along."""
    # Who follows a rename renames nothing: else two that follow each other never come to rest.
    if change.action != "move" or change.actor == BY_MERGE:
        return
    if before and before.role == HEAD == after.role and before.alive and after.alive:
        if before.topic != after.topic:
            yield before.topic, after.topic


def _made_here(tx: Transaction, pipeline: Pipeline, row: MemoryRow) -> bool:
    return any(history.made_at(tx.connection, row.id, origin) for origin in {pipeline.node, pipeline.origin})

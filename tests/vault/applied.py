"""What the documents say once a plan is carried out: the mirror's part, without documents."""

from __future__ import annotations

from collections.abc import Sequence

from hiveminddb.vault.choosing import Base, Entry
from hiveminddb.vault.reconcile import Plan


def applied(plan: Plan, present: Sequence[Entry], bases: Sequence[Base]) -> list[Entry]:
    """The file's entries after the plan, for presents in which nobody else changed the edited documents."""
    texts = {entry.document: entry for base in bases for entry in reversed(base.entries)}
    texts |= {entry.document: entry for entry in present}
    texts |= {edit.document: Entry(edit.document, edit.new_text, edit.is_head) for edit in plan.edits}
    created = [Entry(c.revives or f"new{i}", c.text, c.is_head) for i, c in enumerate(plan.creates)]
    return [created[item] if isinstance(item, int) else texts[item] for item in plan.order]

"""The life of a memory as people see it, made from its changes: the same on every node. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from hiveminddb.daemon.admission import admitted
from hiveminddb.daemon.projection import HEAD
from hiveminddb.model import Action, Version
from hiveminddb.store.history import Step
from hiveminddb.store.rows import to_datetime
from hiveminddb.sync import document
from hiveminddb.sync.clock import to_microseconds
from hiveminddb.sync.descent import in_order
from hiveminddb.sync.document import Content
from hiveminddb.vault import markdown

_ACTIONS: Final = frozenset(get_args(Action))


def ordered(steps: Sequence[Step]) -> list[Step]:
    """Steps by their times, but for those made from one whose node had a wrong date: they come after it."""
    return [steps[place] for place in in_order([step.update for step in steps])]


def versions(steps: Sequence[Step]) -> list[Version]:
    """A version a step: what the memory said when these changes and no others were there."""
    steps = ordered(steps)
    said = [_said(admitted(content)) for content in document.steps([step.update for step in steps])]
    return [
        Version(
            number, step.action if step.action in _ACTIONS else "update", old, new, step.reason, step.actor,
            to_datetime(to_microseconds(step.hlc)), step.seq,
        )
        for number, (step, old, new) in enumerate(zip(steps, [None, *said], said, strict=False), 1)
    ]  # fmt: skip


def _said(content: Content) -> str:
    start, end = markdown.body(content.text, content.fields.get("role") == HEAD)
    return content.text[start:end]

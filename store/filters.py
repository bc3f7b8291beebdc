"""What a listing or a search is narrowed to, and its SQL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions a memory must meet, all of them; times are microseconds since the epoch, `until` is exclusive."""

    topic: str | None = None
    tags: tuple[str, ...] = ()
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    speaker: str | None = None
    memory_type: str | None = None
    since: int | None = None
    until: int | None = None
    include_invalidated: bool = False


Binding = str | int | float | bytes | None

_EQUAL = ("topic", "user_id", "agent_id", "session_id", "speaker", "memory_type")


def filter_clause(filters: Filters, alias: str = "m") -> tuple[str, list[Binding]]:
    """A condition on the table `memories` under that alias, and its bindings; unlisted rows never meet it."""
    conditions = [f"{alias}.listed = 1"]
    bindings: list[Binding] = []
    if not filters.include_invalidated:
        conditions.append(f"{alias}.invalidated_at IS NULL")
    for column in _EQUAL:
        if (value := getattr(filters, column)) is not None:
            conditions.append(f"{alias}.{column} = ?")
            bindings.append(value)
    for operator, instant in ((">=", filters.since), ("<", filters.until)):
        if instant is not None:
            conditions.append(f"{alias}.created_at {operator} ?")
            bindings.append(instant)
    for tag in dict.fromkeys(filters.tags):
        conditions.append(f"{alias}.id IN (SELECT id FROM memory_tags WHERE tag = ?)")
        bindings.append(tag)
    return " AND ".join(conditions), bindings

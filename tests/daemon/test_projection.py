from __future__ import annotations

import pytest

from hiveminddb.daemon.projection import Life, project
from hiveminddb.model import DocumentId
from hiveminddb.sync.document import Content


@pytest.mark.parametrize(
    ("created", "changed", "updated"), [(5_327, 5_000, 5_327), (5_327, 6_000, 6_000), (9_000, 5_000, 5_000)]
)
def test_a_memory_is_not_updated_before_it_is_created_though_changes_count_milliseconds(
    created: int, changed: int, updated: int
) -> None:
    content = Content("text", {"topic": "notes", "position": "a", "created_at": created})
    row = project(DocumentId("id"), content, Life(changed, changed))
    assert (row.created_at, row.updated_at) == (created, updated)

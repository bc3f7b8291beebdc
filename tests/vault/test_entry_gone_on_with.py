"""An entry whose heading came first, and its text later, is one entry."""

from __future__ import annotations

from hiveminddb.vault.choosing import Base, Entry, choose, render

HEADING = "## 2026-01-03 10:00:00 UTC\n\n"
KNOWN = [
    Entry("head", "# notes\n\n", is_head=True),
    Entry("a", "## 2026-01-01 10:00:00 UTC\n\nfirst\n\n"),
    Entry("b", "## 2026-01-02 10:00:00 UTC\n\nsecond\n\n"),
]


def test_a_text_that_goes_on_with_the_last_entry_was_made_from_the_one_that_has_it() -> None:
    begun = Base(7, "late", [*KNOWN, Entry("c", HEADING)])
    before = Base(3, "disk", KNOWN)
    assert choose([begun, before], render(KNOWN) + HEADING + "by a slow program\n\n") == 0
    half = Base(7, "late", [*KNOWN, Entry("c", HEADING + "by a")])
    assert choose([half, before], render(KNOWN) + HEADING + "by a slow program, in the end\n\n") == 0

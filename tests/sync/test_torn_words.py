"""Words put in place of others stay whole when somebody else takes the others away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.sync import document

WORDS = st.lists(st.sampled_from(["meeting", "tk068241x", "tk072285x", "deploy", "étfi", "東京", "tk0x"]), min_size=1)


@given(WORDS, WORDS)
def test_a_word_that_replaces_another_is_not_torn_when_that_one_is_deleted(old: list[str], new: list[str]) -> None:
    start = document.create(" ".join(old), {})
    rewritten = document.edit(start, text=" ".join([*new, "wholeword"]))
    emptied = document.edit(start, text="")
    assert rewritten and emptied
    found = document.read(document.merge(start, rewritten, emptied)).text
    assert all(word in found for word in {*new, "wholeword"} - {*old})


def test_a_line_rewritten_while_another_deletes_it_stays_readable() -> None:
    start = document.create("sawo fisa xago tk068241x lalagowo fiba\n", {})
    rewritten = document.edit(start, text="rude zeba tk072285x poku deploy\n")
    deleted = document.edit(start, text="")
    assert rewritten and deleted
    assert document.read(document.merge(start, rewritten, deleted)).text == "rude zeba tk072285x poku deploy"

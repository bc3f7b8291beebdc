from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.sync import document
from hiveminddb.sync.descent import in_order


def life(words: list[str], client: int | None = None) -> list[bytes]:
    """The updates of a document that says one thing after the other."""
    updates = [document.create("", {"topic": "t", "position": "a0"})]
    for word in words:
        state = document.merge(*updates)
        update = document.edit(state, text=word, fields={"position": word}, client=client)
        updates += [update] if update else []
    return updates


def said(updates: list[bytes]) -> list[str]:
    return [content.text for content in document.steps([updates[place] for place in in_order(updates)])]


@given(st.lists(st.text(max_size=6), max_size=8), st.booleans(), st.integers(0, 1 << 30))
def test_in_whatever_order_updates_are_everything_that_was_said_is_said(words: list[str], one: bool, seed: int) -> None:
    updates = life(words, client=5 if one else None)
    mixed = random.Random(seed).sample(updates, len(updates))
    assert said(mixed) == [content.text for content in document.steps(updates)]


def test_updates_that_know_nothing_of_each_other_keep_their_order() -> None:
    state = document.create("a", {"topic": "t"})
    edits = [document.edit(state, text=text) or b"" for text in ("ab", "ca", "")]
    for order in ([0, 1, 2, 3], [0, 3, 1, 2]):
        mixed = [[state, *edits][place] for place in order]
        assert in_order(mixed) == [0, 1, 2, 3]


def test_garbage_keeps_its_place() -> None:
    assert in_order([b"\xff", b"", document.create("a", {}), b"\x00\x00"]) == [0, 1, 2, 3]

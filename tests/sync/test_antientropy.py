from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import Change, DocumentId, NodeId
from hiveminddb.sync import antientropy
from hiveminddb.sync.antientropy import (
    Batch,
    Have,
    Message,
    Passages,
    Run,
    Vectors,
    Want,
    WantVectors,
    WireChange,
    decode,
    encode,
    lacks,
    received,
    sent,
)

names = st.text(min_size=1, max_size=20).map(NodeId)
counts = st.integers(1, 1 << 40)
vectors = st.dictionaries(names, counts, max_size=6)
changes = st.builds(
    WireChange, names, counts, st.text(max_size=20), st.just("memory"), st.just("add"), st.text(max_size=9),
    st.text(max_size=9), st.integers(0, (1 << 63) - 1), st.binary(max_size=200),
)  # fmt: skip
runs = st.builds(Run, counts, names, counts, counts)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Have, vectors, st.integers(0, 1 << 40), st.text(max_size=9)),
    st.builds(Want, vectors, st.integers(0, 1 << 40), st.text(max_size=9)),
    st.builds(Batch, st.lists(changes, max_size=5), st.lists(runs, max_size=5), st.booleans(), st.text(max_size=9)),
    st.builds(Vectors, st.text(max_size=9), st.lists(st.builds(Passages, st.binary(), st.lists(st.binary())))),
    st.builds(WantVectors, st.text(max_size=9), st.lists(st.binary(max_size=16))),
)


@given(messages)
def test_what_is_sent_is_what_arrives(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    try:
        message = decode(garbage)
    except InvalidFrame:
        return
    assert encode(message)


@given(messages, st.data())
def test_a_damaged_message_is_refused_or_still_a_message(message: Message, data: st.DataObject) -> None:
    raw = bytearray(encode(message))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(raw))
    except InvalidFrame:
        return


@pytest.mark.parametrize(
    "message",
    [
        Have({NodeId("a"): -1}, 0, "e"),
        Want({}, -1, "e"),
        Have({NodeId(str(n)): 1 for n in range(antientropy.MOST_ORIGINS + 1)}, 0, "e"),
        Batch([WireChange(NodeId("a"), 0, "d", "memory", "add", "", "", 0, b"")], [], False, "e"),
        Batch([WireChange(NodeId("a"), 1, "d", "memory", "add", "", "", -1, b"")], [], False, "e"),
        Batch([], [Run(0, NodeId("a"), 1, 1)], False, "e"),
        Batch([], [Run(1, NodeId("a"), 1, 0)], False, "e"),
        WantVectors("m", [b""] * (antientropy.MOST_HASHES + 1)),
    ],
)
def test_what_no_sane_node_says_is_refused(message: Message) -> None:
    with pytest.raises(InvalidFrame):
        decode(encode(message))


def test_fields_of_another_type_are_refused() -> None:
    raw = msgspec.msgpack.encode(["have", {"a": "many"}, 0, "e"])
    with pytest.raises(InvalidFrame, match="knowledge protocol"):
        decode(raw)


@given(vectors, vectors)
def test_one_of_two_that_differ_lacks_something(mine: dict[NodeId, int], theirs: dict[NodeId, int]) -> None:
    assert (lacks(mine, theirs) or lacks(theirs, mine)) == (mine != theirs)


@given(st.lists(changes, max_size=3))
def test_a_change_that_travelled_is_the_same(travelled: Sequence[WireChange]) -> None:
    for change in travelled:
        assert sent(received(change)) == change
    kept = Change(NodeId("n"), 1, DocumentId("d"), "memory", "add", "me", "", 7, b"u")
    assert received(sent(kept)) == kept

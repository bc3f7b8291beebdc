from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.errors import Corrupt, InvalidFrame, StorageError
from hiveminddb.model import NodeId
from hiveminddb.sync.raft import codec
from hiveminddb.sync.raft.codec import COMMAND, Append, Message, Part, decode, decode_voters, encode, encode_voters
from hiveminddb.sync.raft.journal import Base
from hiveminddb.sync.raft.snapshot import Assembly, Snapshot, from_file, to_file
from tests.sync.raft.stage import Stage

INDEX = st.integers(0, (1 << 62) - 1)
SMALL = st.integers(0, 6)


def _append(term: int, number: int, previous: tuple[int, int], commit: int, terms: list[int]) -> Append:
    index, last = previous[0], min(previous[1], term)
    entries = []
    for offset, wanted in enumerate(terms):
        last = min(term, max(last, wanted))
        entries.append((COMMAND + b"x", index + 1 + offset, last))
    return Append(term, number, index, min(previous[1], term), commit, 100, tuple(entries))


# Messages that pass the schema, with numbers small enough to mean something to a small log.
SOUND = st.one_of(
    st.builds(_append, SMALL, SMALL, st.tuples(SMALL, SMALL), SMALL, st.lists(SMALL, max_size=4)),
    st.builds(codec.Acknowledge, SMALL, SMALL, st.booleans(), SMALL),
    st.builds(codec.AskVote, SMALL, SMALL, SMALL, st.booleans()),
    st.builds(codec.Vote, SMALL),
    st.builds(codec.Probe, SMALL, SMALL, SMALL, SMALL),
    st.builds(codec.Probed, SMALL, SMALL, st.booleans()),
    st.builds(codec.Taken, SMALL, SMALL, SMALL, SMALL),
    st.builds(codec.HandOver, SMALL),
    st.builds(
        codec.Part,
        SMALL,
        SMALL,
        st.just(100),
        SMALL,
        SMALL,
        st.just(("a", "b")),
        st.integers(3, 6),
        SMALL,
        st.just(0),
        st.binary(max_size=3),
    ),
    st.builds(
        lambda requests, answers: codec.Together(tuple(requests), tuple(answers)),
        st.lists(
            st.builds(codec.Request, SMALL, st.integers(0, 3), SMALL, st.integers(0, 3), st.binary(max_size=5)),
            max_size=3,
        ),
        st.lists(st.builds(codec.Answer, SMALL, st.integers(0, 3), SMALL, st.text(max_size=5)), max_size=3),
    ),
)


@given(SOUND)
def test_what_is_sent_is_what_arrives(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_garbage_is_an_invalid_frame_or_a_message(payload: bytes) -> None:
    try:
        decode(payload)
    except InvalidFrame:
        pass


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 63), st.binary(max_size=9), st.text(max_size=5)),
        lambda inner: st.lists(inner, max_size=8),
    )
)
@settings(max_examples=300)
def test_any_msgpack_is_an_invalid_frame_or_a_message(value: object) -> None:
    try:
        decode(msgspec.msgpack.encode(value))
    except InvalidFrame:
        pass


@given(SOUND, st.data())
@settings(max_examples=300)
def test_a_damaged_message_is_an_invalid_frame_or_a_message(message: Message, data: st.DataObject) -> None:
    payload = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(payload[: data.draw(st.integers(0, len(payload)))]))
    except InvalidFrame:
        pass


@given(st.lists(st.tuples(st.sampled_from("bcx"), SOUND), max_size=25), st.booleans())
@settings(max_examples=100)
def test_sound_messages_at_any_moment_break_nothing(messages: list[tuple[str, Message]], leading: bool) -> None:
    """Their senders may be wrong about everything: the replica goes on, or stops before it loses what is committed."""
    stage = Stage("abc")
    if leading:
        stage.elect("a")
    for peer, message in messages:
        stage.time += 0.05
        try:
            stage.tell("a", peer, message)
        except StorageError as stopped:
            assert "committed" in stopped.message
            return
    assert stage.delivered["a"] == sorted(stage.delivered["a"])


@pytest.mark.parametrize(
    "entries",
    [
        ((COMMAND, 3, 1),),
        ((COMMAND, 2, 1), (COMMAND, 2, 1)),
        ((COMMAND, 2, 0),),
        ((COMMAND, 2, 3),),
        ((COMMAND, 2, 2), (COMMAND, 3, 1)),
        ((b"", 2, 1),),
    ],
)
def test_entries_out_of_order_are_an_invalid_frame(entries: tuple[tuple[bytes, int, int], ...]) -> None:
    with pytest.raises(InvalidFrame):
        decode(encode(Append(2, 1, 1, 1, 0, 100, entries)))


def test_a_piece_beyond_its_snapshot_is_an_invalid_frame() -> None:
    with pytest.raises(InvalidFrame):
        decode(encode(Part(1, 1, 100, 1, 1, ("a",), 3, 0, 2, b"xx")))


def test_voters_are_one_to_five() -> None:
    voters = frozenset(map(NodeId, "abcde"))
    assert decode_voters(encode_voters(voters)) == voters
    for wrong in (frozenset[NodeId](), frozenset(map(NodeId, "abcdef")), frozenset({NodeId("x" * 200)})):
        with pytest.raises(InvalidFrame):
            decode_voters(encode_voters(wrong))


@given(st.binary(max_size=200), st.data())
def test_a_snapshot_file_is_whole_or_corrupt(state: bytes, data: st.DataObject) -> None:
    snapshot = Snapshot(Base(7, 2, frozenset(map(NodeId, "ab"))), state)
    stored = bytearray(to_file(snapshot))
    assert from_file(bytes(stored)) == snapshot
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        from_file(bytes(stored))
    with pytest.raises(Corrupt):
        from_file(bytes(stored[: data.draw(st.integers(0, len(stored) - 1))]))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 5])
def test_a_snapshot_is_put_together_from_pieces_that_come_twice_or_out_of_turn(size: int) -> None:
    snapshot = Snapshot(Base(7, 2, frozenset(map(NodeId, "ab"))), bytes(size))
    assembly = Assembly()
    offset = 0
    while True:
        part = snapshot.part(offset, 1, 1, 100)
        late = snapshot.part(min(size, offset + (2 << 20)), 1, 1, 100)
        if late.offset > offset + len(part.data):
            assembly.take(late)
        assembly.take(part)
        offset = assembly.take(part)
        if (whole := assembly.finish(part)) is not None:
            break
    assert whole == snapshot and offset == size

from __future__ import annotations

import struct
from itertools import pairwise, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.errors import InvalidFrame
from hiveminddb.sync.frames import MAX_PAYLOAD, PART, Channel, Decoder, encode
from hiveminddb.sync.outbox import CHANNEL_BYTES, Outbox

payloads = st.lists(st.tuples(st.sampled_from(Channel), st.binary(max_size=40)), max_size=12)


def stream_of(sent: list[tuple[Channel, bytes]]) -> bytes:
    return b"".join(frame for channel, payload in sent for frame in encode(channel, payload))


@given(payloads, st.data())
def test_frames_come_out_whole_and_in_order_however_the_bytes_are_split(
    sent: list[tuple[Channel, bytes]], data: st.DataObject
) -> None:
    stream = stream_of(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    decoder = Decoder()
    got = [frame for a, b in pairwise([0, *cuts, len(stream)]) for frame in decoder.feed(stream[a:b])]
    assert got == sent


@given(st.binary(max_size=200), st.integers(1, 50))
def test_garbage_is_refused_or_waits_for_more(garbage: bytes, limit: int) -> None:
    decoder = Decoder(limit)
    try:
        for channel, payload in decoder.feed(garbage):
            assert channel in Channel and len(payload) <= limit
    except InvalidFrame:
        return
    assert list(decoder.feed(b"")) == []


@given(payloads, st.integers(1, 40))
def test_a_truncated_stream_gives_the_frames_before_the_cut(sent: list[tuple[Channel, bytes]], missing: int) -> None:
    last = stream_of([(Channel.RAFT, bytes(40))])
    stream = stream_of(sent) + last[:-missing]
    assert list(Decoder().feed(stream)) == sent


@given(payloads)
def test_what_came_before_garbage_is_still_given(sent: list[tuple[Channel, bytes]]) -> None:
    decoded = Decoder().feed(stream_of(sent) + b"\x00\x00\x00\x00\x7f")
    got = []
    with pytest.raises(InvalidFrame, match="channel 127"):
        for frame in decoded:
            got.append(frame)
    assert got == sent


def test_a_frame_over_the_limit_is_refused_at_its_head() -> None:
    with pytest.raises(InvalidFrame, match=f"payload of {MAX_PAYLOAD + 1} bytes on channel RAFT"):
        list(Decoder().feed(struct.pack(">IB", MAX_PAYLOAD + 1, Channel.RAFT)))
    with pytest.raises(InvalidFrame, match=f"payload of {MAX_PAYLOAD + 1} bytes"):
        encode(Channel.RAFT, bytes(MAX_PAYLOAD + 1))
    assert list(Decoder().feed(stream_of([(Channel.RAFT, bytes(MAX_PAYLOAD))]))) == [(Channel.RAFT, bytes(MAX_PAYLOAD))]


def test_the_limit_may_change_between_two_frames() -> None:
    decoder = Decoder(4)
    got = []
    for channel, payload in decoder.feed(stream_of([(Channel.HELLO, b"1234"), (Channel.RAFT, b"12345")])):
        got.append((channel, payload))
        decoder.limit = MAX_PAYLOAD
    assert got == [(Channel.HELLO, b"1234"), (Channel.RAFT, b"12345")]


@given(payloads)
def test_waiting_frames_leave_by_urgency_and_in_order_within_a_channel(sent: list[tuple[Channel, bytes]]) -> None:
    outbox = Outbox()
    for channel, payload in sent:
        assert outbox.has_room(channel)
        outbox.put(channel, encode(channel, payload))
    assert outbox.size == sum(5 + len(payload) for _, payload in sent)
    left = []
    while frame := outbox.take():
        left.append(frame)
    assert left == [encode(*frame)[0] for frame in sorted(sent, key=lambda frame: frame[0])]
    assert not outbox


def test_a_full_channel_takes_no_more_and_fills_no_other() -> None:
    outbox = Outbox()
    frame = bytes(CHANNEL_BYTES // 2)
    for _ in range(2):
        assert outbox.has_room(Channel.KNOWLEDGE)
        outbox.put(Channel.KNOWLEDGE, [frame])
    assert not outbox.has_room(Channel.KNOWLEDGE)
    outbox.put(Channel.RAFT, [b"urgent"])
    assert outbox.take() == b"urgent"
    assert outbox.take() == frame
    assert outbox.has_room(Channel.KNOWLEDGE)


@given(
    st.lists(st.tuples(st.sampled_from([Channel.RAFT, Channel.KNOWLEDGE]), st.integers(0, 3 * PART + 1)), max_size=5),
    st.integers(1000, 2 * PART),
)
def test_large_payloads_travel_in_parts_between_which_others_fit(sent: list[tuple[Channel, int]], step: int) -> None:
    lists = {channel: [bytes([n]) * size for n, (c, size) in enumerate(sent) if c is channel] for channel in Channel}
    queues = [[frame for payload in lists[c] for frame in encode(c, payload)] for c in Channel]
    assert all(len(frame) <= PART + 5 for queue in queues for frame in queue)
    stream = b"".join(frame for row in zip_longest(*queues, fillvalue=b"") for frame in row)
    decoder = Decoder()
    got = [frame for start in range(0, len(stream), step) for frame in decoder.feed(stream[start : start + step])]
    for channel in Channel:
        assert [payload for c, payload in got if c is channel] == lists[channel]


def test_parts_may_not_add_up_to_more_than_a_payload_may_have() -> None:
    part = encode(Channel.RAFT, bytes(PART + 1))[0]
    decoder = Decoder(3 * PART)
    assert list(decoder.feed(part * 3)) == []
    with pytest.raises(InvalidFrame, match=f"payload of {4 * PART} bytes"):
        list(decoder.feed(part))
    with pytest.raises(InvalidFrame, match="empty part"):
        list(Decoder().feed(b"\0\0\0\0\x82"))

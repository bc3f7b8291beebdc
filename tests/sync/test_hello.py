from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hiveminddb.errors import InvalidFrame
from hiveminddb.model import NodeId
from hiveminddb.sync.hello import MAX_HELLO, VERSION, Hello, Standing, decode_hello, encode_hello, replaces

A, B = NodeId("a"), NodeId("b")


@given(st.text(max_size=64), st.binary(max_size=16), st.integers(0, 65535))
def test_hello_comes_back_as_it_was_sent(tag: str, instance: bytes, port: int) -> None:
    hello = Hello(VERSION, tag, instance, port)
    assert decode_hello(encode_hello(hello)) == hello
    assert len(encode_hello(hello)) < MAX_HELLO


@given(st.binary(max_size=64))
@example(b"\x94\x01\xa1\x80\xc4\x00\x00")
@example(b"\x95\x01\xa0\xc4\x00\x00" + b"\x91" * (MAX_HELLO - 6))
def test_what_is_no_hello_is_an_invalid_frame(garbage: bytes) -> None:
    try:
        assert decode_hello(garbage).version == VERSION
    except InvalidFrame:
        pass


def test_another_version_is_named() -> None:
    with pytest.raises(InvalidFrame, match="HELLO of version 2"):
        decode_hello(encode_hello(Hello(2, "", b"", 0)))


def test_of_two_links_dialled_at_once_the_one_dialled_by_the_lower_id_stays_in_whatever_order_they_came() -> None:
    by_a, by_b = Standing(A, b"1"), Standing(B, b"1")
    assert replaces(by_a, by_b)
    assert not replaces(by_b, by_a)


def test_who_dials_again_has_lost_the_link_it_had() -> None:
    assert replaces(Standing(B, b"1"), Standing(B, b"1"))
    assert replaces(Standing(A, b"1"), Standing(A, b"1"))


def test_a_peer_that_started_again_has_no_link() -> None:
    assert replaces(Standing(B, b"2"), Standing(A, b"1"))

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spake2.ed25519_basic import bytes_to_unknown_group_element

from hiveminddb.errors import Conflict, Forbidden, HiveMindError, InvalidFrame, NotFound, Unavailable
from hiveminddb.sync.invite import Invite, parse
from hiveminddb.sync.pake import Exchange, Sealed, derive
from hiveminddb.sync.proof import Door, Guest, Hello, Host, Why, encode

GUEST, HOST, BETWEEN = b"g" * 32, b"h" * 32, b"m" * 32
CODE = parse("7-walnut-anchor-ribbon")
# Order 1, 2, 4, 4, 8, 8, 8, 8 on Ed25519 (https://cr.yp.to/ecdh.html).
_EIGHTH = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc"
_OTHER_EIGHTH = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03"
SMALL_ORDER = [
    bytes.fromhex(point)
    for point in (
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "00" * 32,
        "00" * 31 + "80",
        _EIGHTH + "05",
        _EIGHTH + "85",
        _OTHER_EIGHTH + "7a",
        _OTHER_EIGHTH + "fa",
    )
]
WRONG = parse("7-walnut-anchor-apple")


def invite() -> Invite:
    return Invite(lambda: 0.0, CODE)


def host(door: Door | Why, mine: bytes = HOST, theirs: bytes = GUEST) -> Host:
    return Host(lambda number: door if number == CODE.nameplate else "closed", mine, theirs)


def guest(code: bytes = CODE.password(), number: int = CODE.nameplate) -> Guest:
    return Guest(number, code, GUEST, HOST)


def test_both_sides_that_know_the_code_end_with_a_line_of_their_own() -> None:
    one, other = guest(), host(invite())
    mine = one.settle(other.settle(one.prove(other.answer(one.hello))))
    other.go_on()
    assert other.sealed is not None
    for n in range(3):
        assert other.sealed.open(mine.seal(b"to host %d" % n)) == b"to host %d" % n
        assert mine.open(other.sealed.seal(b"to guest")) == b"to guest"


def test_a_wrong_code_costs_a_try_and_both_are_told() -> None:
    door = invite()
    one, other = guest(WRONG.password()), host(door)
    verdict = other.settle(one.prove(other.answer(one.hello)))
    with pytest.raises(Forbidden):
        other.go_on()
    with pytest.raises(Forbidden, match="wrong code"):
        one.settle(verdict)
    assert other.sealed is None and door.tries_left == 2


def test_three_guesses_close_the_door_even_when_all_began_before_the_first_was_judged() -> None:
    door = invite()
    tries = [(guest(WRONG.password()), host(door)) for _ in range(3)]
    late, waiting = guest(), host(door)
    proofs = [(one.prove(other.answer(one.hello)), other) for one, other in tries]
    right = late.prove(waiting.answer(late.hello))
    for proof, other in proofs:
        other.settle(proof)
    with pytest.raises(Forbidden):
        late.settle(waiting.settle(right))
    assert waiting.sealed is None and door.state == "ended"


def test_somebody_between_with_other_keys_fails_though_both_ends_know_the_code() -> None:
    door = invite()
    one, other = Guest(7, CODE.password(), GUEST, BETWEEN), host(door, theirs=BETWEEN)
    proof = one.prove(other.answer(one.hello))
    with pytest.raises(Forbidden):
        one.settle(other.settle(proof))
    assert other.sealed is None and door.tries_left == 2


def test_a_hello_that_was_changed_on_the_way_fails_even_where_it_still_fits() -> None:
    one, other = guest(), Host(lambda _: invite(), HOST, GUEST)
    hello = msgspec.msgpack.decode(one.hello, type=Hello)
    proof = one.prove(other.answer(encode(Hello(hello.protocol, 8, hello.share))))
    with pytest.raises(Forbidden):
        one.settle(other.settle(proof))


def test_a_recorded_pairing_cannot_be_played_again() -> None:
    one, other = guest(), host(invite())
    proof = one.prove(other.answer(one.hello))
    other.settle(proof)
    door = invite()
    again = host(door)
    again.answer(one.hello)
    again.settle(proof)
    with pytest.raises(Forbidden):
        again.go_on()
    assert again.sealed is None and door.tries_left == 2


def test_a_message_that_is_thrown_back_is_refused() -> None:
    one = guest()
    with pytest.raises(InvalidFrame):
        one.prove(one.hello)
    hello = msgspec.msgpack.decode(one.hello, type=Hello)
    with pytest.raises(InvalidFrame):
        one.prove(msgspec.msgpack.encode(["share", hello.share]))


@pytest.mark.parametrize(
    ("why", "error"),
    [("closed", NotFound), ("busy", Unavailable), ("protocol", Conflict)],
    ids=lambda value: str(value),
)
def test_a_guest_learns_why_nobody_opens(why: Why, error: type[HiveMindError]) -> None:
    one, other = guest(), host(why)
    refusal = other.answer(one.hello)
    with pytest.raises(Conflict):
        other.go_on()
    with pytest.raises(error):
        one.prove(refusal)


def test_another_protocol_is_named_as_such() -> None:
    other = host(invite())
    refusal = other.answer(encode(Hello(2, 7, guest().hello[-33:])))
    with pytest.raises(Conflict, match="protocol 1"):
        guest().prove(refusal)


def test_an_ended_invite_and_another_number_look_the_same() -> None:
    door = invite()
    door.end("closed by hand")
    assert host(door).answer(guest().hello) == host(invite()).answer(guest(number=8).hello)


def test_what_is_sealed_opens_once_and_in_its_place() -> None:
    keys = derive(b"secret", b"one", b"two")
    mine, theirs = Sealed(keys, "guest"), Sealed(keys, "host")
    first, second = mine.seal(b"first"), mine.seal(b"second")
    for wrong in (second, first[:-1], theirs.seal(b"first"), b""):
        with pytest.raises(InvalidFrame):
            theirs.open(wrong)
    assert theirs.open(first) == b"first"
    with pytest.raises(InvalidFrame):
        theirs.open(first)


@given(st.binary(max_size=80) | st.binary(min_size=33, max_size=33))
def test_a_share_that_is_none_is_refused(share: bytes) -> None:
    try:
        secret = Exchange("guest", b"password", GUEST, HOST).secret(share)
    except InvalidFrame:
        return
    assert len(secret) == 32


@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda point: point.hex()[:8])
def test_points_of_small_order_which_would_make_the_secret_guessable_are_refused(point: bytes) -> None:
    assert bytes_to_unknown_group_element(point).to_bytes() == point
    with pytest.raises(InvalidFrame):
        Exchange("guest", b"password", GUEST, HOST).secret(b"B" + point)


@given(st.binary(max_size=200))
def test_garbage_is_refused_by_both_sides_at_every_step(garbage: bytes) -> None:
    with pytest.raises(InvalidFrame):
        host(invite()).answer(garbage)
    with pytest.raises(InvalidFrame):
        guest().prove(garbage)


@settings(max_examples=60)
@given(st.integers(0, 3), st.integers(0, 1000), st.integers(1, 255))
def test_one_altered_byte_anywhere_lets_nobody_in(step: int, place: int, flip: int) -> None:
    def alter(number: int, frame: bytes) -> bytes:
        if number != step:
            return frame
        at = place % len(frame)
        return frame[:at] + bytes([frame[at] ^ flip]) + frame[at + 1 :]

    door = invite()
    one, other = guest(), host(door)
    with pytest.raises(HiveMindError):
        answer = alter(1, other.answer(alter(0, one.hello)))
        other.go_on()
        verdict = alter(3, other.settle(alter(2, one.prove(answer))))
        other.go_on()
        one.settle(verdict)
    assert other.sealed is None or step == 3

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.errors import Conflict, Forbidden, HiveMindError, InvalidFrame, NotFound, Unavailable
from hiveminddb.sync import pairing
from hiveminddb.sync.identity import fingerprint
from hiveminddb.sync.invite import Invite, draw, parse
from hiveminddb.sync.pairing import Introduction, invite_side, join_side
from hiveminddb.sync.proof import KEY_DOOR, Door, Why
from hiveminddb.sync.swarm_key import SwarmKey
from tests.sync.wire import End, wire

pytestmark = pytest.mark.anyio

GUEST_KEY, HOST_KEY = hashlib.sha256(b"guest").digest(), hashlib.sha256(b"host").digest()
CODE = parse("7-walnut-anchor-ribbon")
GUEST = Introduction(fingerprint(GUEST_KEY), GUEST_KEY, "laptop", "one", 12, 1)
HOST = Introduction(fingerprint(HOST_KEY), HOST_KEY, "desk", "two", 3400, 2)
PAYLOAD = b"directory" * 10_000


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "PAUSE_S", 0.0)


def invite() -> Invite:
    return Invite(lambda: 0.0, CODE)


async def yes(_: Introduction) -> bool:
    return True


async def no(_: Introduction) -> bool:
    return False


async def admit(_: Introduction) -> bytes:
    return PAYLOAD


class Pair:
    """A guest and a host at the two ends of a wire; `adopted` is what the guest has made durable."""

    def __init__(self, guest: Introduction = GUEST, host: Introduction = HOST) -> None:
        self.me, self.host = guest, host
        self.guest_end, self.host_end = wire(GUEST_KEY, HOST_KEY)
        self.adopted: list[bytes] = []

    async def join(
        self, password: bytes, agree: Callable[[Introduction], Awaitable[bool]] = yes
    ) -> Introduction | None:
        try:
            return await join_side(self.guest_end, CODE.nameplate, password, self._introduce, agree, self._adopt)
        finally:
            self.guest_end.hang_up()

    async def let_in(
        self, door: Door | Why, admitting: Callable[[Introduction], Awaitable[bytes]] = admit
    ) -> Introduction | None:
        try:
            return await invite_side(self.host_end, lambda _: door, self.host, admitting)
        finally:
            self.host_end.hang_up()

    async def _introduce(self) -> Introduction:
        return self.me

    async def _adopt(self, _: Introduction, payload: bytes) -> None:
        self.adopted.append(payload)


Outcome = Introduction | BaseException | None


async def both(guest: Awaitable[Outcome], host: Awaitable[Outcome]) -> tuple[Outcome, Outcome]:
    joined, admitted = await asyncio.gather(guest, host, return_exceptions=True)
    return joined, admitted


async def test_two_who_know_the_code_introduce_themselves_and_the_guest_gets_what_it_needs() -> None:
    pair, door = Pair(), invite()
    assert await both(pair.join(CODE.password()), pair.let_in(door)) == (HOST, GUEST)
    assert pair.adopted == [PAYLOAD]
    assert door.guest == GUEST.node and door.state == "joining"


async def test_nothing_of_either_side_is_told_before_the_proof_nor_readable_after_it() -> None:
    pair = Pair()
    await both(pair.join(CODE.password()), pair.let_in(invite()))
    told = b"".join(pair.guest_end.written + pair.host_end.written)
    for word in (*CODE.words, "laptop", "desk", "directory"):
        assert word.encode() not in told


async def test_with_a_wrong_code_both_say_so_and_neither_learns_who_the_other_is() -> None:
    pair, door = Pair(), invite()
    guest, host = await both(pair.join(draw().password()), pair.let_in(door))
    assert isinstance(guest, Forbidden) and "wrong code" in str(guest)
    assert isinstance(host, Forbidden) and GUEST.node in str(host)
    assert door.tries_left == 2 and pair.adopted == []
    assert len(pair.guest_end.written) == len(pair.host_end.written) == 2


async def test_a_guest_who_does_not_agree_is_not_admitted_and_may_come_again() -> None:
    pair, door = Pair(), invite()
    assert await both(pair.join(CODE.password(), no), pair.let_in(door)) == (None, None)
    pair = Pair()
    assert await both(pair.join(CODE.password()), pair.let_in(door)) == (HOST, GUEST)


async def test_a_guest_says_who_it_is_only_once_it_has_agreed() -> None:
    async def leave_home(_: Introduction) -> bool:
        pair.me = Introduction(GUEST.node, GUEST_KEY, "laptop", "left", 12, 1)
        return True

    pair = Pair()
    _, host = await both(pair.join(CODE.password(), leave_home), pair.let_in(invite()))
    assert isinstance(host, Introduction) and host.swarm == "left"
    pair = Pair()
    await both(pair.join(CODE.password(), no), pair.let_in(invite()))
    assert len(pair.guest_end.written) == 3 and len(pair.guest_end.written[2]) < 64


async def test_the_reason_why_a_guest_is_not_admitted_is_told_to_both() -> None:
    async def full(_: Introduction) -> bytes:
        raise Conflict("the swarm is full", "remove a node")

    pair = Pair()
    guest, host = await both(pair.join(CODE.password()), pair.let_in(invite(), full))
    assert isinstance(guest, Conflict) and "the swarm is full" in str(guest)
    assert isinstance(host, Conflict) and pair.adopted == []


async def test_a_closed_door_is_told() -> None:
    pair = Pair()
    guest, host = await both(pair.join(CODE.password()), pair.let_in("closed"))
    assert isinstance(guest, NotFound) and isinstance(host, Conflict)


async def test_an_introduction_with_anothers_key_is_refused_by_both() -> None:
    liar = Introduction(GUEST.node, HOST_KEY, "laptop", "one", 1, 1)
    pair = Pair(guest=liar)
    _, host = await both(pair.join(CODE.password()), pair.let_in(invite()))
    assert isinstance(host, InvalidFrame) and "another node's key" in str(host)
    pair = Pair(host=Introduction(GUEST.node, HOST_KEY, "desk", "two", 1, 1))
    guest, _ = await both(pair.join(CODE.password()), pair.let_in(invite()))
    assert isinstance(guest, InvalidFrame)


async def test_what_the_other_side_is_called_cannot_move_a_cursor() -> None:
    async def full(_: Introduction) -> bytes:
        raise Conflict("\x1b[2Jfull", "")

    named = Introduction(HOST.node, HOST_KEY, "de\x1b[31msk\n", "two", 1, 1)
    pair = Pair(host=named)
    guest, _ = await both(pair.join(CODE.password()), pair.let_in(invite()))
    assert isinstance(guest, Introduction) and guest.name == "de[31msk"
    pair = Pair()
    guest, _ = await both(pair.join(CODE.password()), pair.let_in(invite(), full))
    assert isinstance(guest, Conflict) and guest.message == "not admitted: [2Jfull"


@pytest.mark.parametrize("frames", range(4))
async def test_who_hangs_up_half_way_leaves_a_clear_error_and_nothing_adopted(frames: int) -> None:
    def vanish(number: int, frame: bytes) -> list[bytes]:
        if number < frames:
            return [frame]
        pair.host_end.hang_up()
        return []

    pair = Pair()
    pair.host_end.meddle = vanish
    for outcome in await both(pair.join(CODE.password()), pair.let_in(invite())):
        assert isinstance(outcome, Unavailable) and "hung up" in str(outcome)
    assert pair.adopted == []


async def test_silence_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "ANSWER_S", 0.01)
    guest, _ = wire(GUEST_KEY, HOST_KEY)
    with pytest.raises(Unavailable, match="said nothing"):
        await join_side(guest, 7, b"password", Pair()._introduce, yes, Pair()._adopt)


async def test_a_frame_over_the_limit_is_refused() -> None:
    guest, host = wire(GUEST_KEY, HOST_KEY)
    await host.write(b"x" * (pairing.SMALL_FRAME + 1))
    with pytest.raises(InvalidFrame):
        await join_side(guest, 7, b"password", Pair()._introduce, yes, Pair()._adopt)


async def test_nodes_with_one_swarm_key_join_and_with_another_do_not() -> None:
    def clock() -> float:
        return 0.0

    ours, other = SwarmKey("correct horse", clock), SwarmKey("wrong horse", clock)
    for key, joins in ((ours, True), (other, False)):
        guest, host = wire(GUEST_KEY, HOST_KEY)
        pair = Pair()
        password = key.password()
        assert password is not None
        joined, admitted = await both(
            join_side(guest, KEY_DOOR, password, pair._introduce, yes, pair._adopt),
            invite_side(host, lambda number: ours if number == KEY_DOOR else "closed", HOST, admit),
        )
        assert (joined == HOST) is joins and (admitted == GUEST) is joins
        assert isinstance(joined, Forbidden) is not joins
        assert joins or "another swarm key" in str(joined)


Meddling = Callable[[int, bytes], list[bytes]]


@st.composite
def meddlings(draw: st.DrawFn) -> Meddling:
    """Alters, drops, repeats or replaces one frame of one side."""
    which, place, flip = draw(st.integers(0, 4)), draw(st.integers(0, 10_000)), draw(st.integers(1, 255))
    kind = draw(st.sampled_from(["alter", "repeat", "replace", "cut"]))
    garbage = draw(st.binary(max_size=100))

    def meddle(number: int, frame: bytes) -> list[bytes]:
        if number != which:
            return [frame]
        at = place % len(frame)
        altered = frame[:at] + bytes([frame[at] ^ flip]) + frame[at + 1 :]
        return {"alter": [altered], "repeat": [frame, frame], "replace": [garbage], "cut": [frame[:at]]}[kind]

    return meddle


@settings(max_examples=100)
@given(meddlings(), st.booleans())
def test_whatever_is_done_to_the_frames_nobody_adopts_anything_but_the_truth(meddle: Meddling, at_guest: bool) -> None:
    pair = Pair()
    end: End = pair.guest_end if at_guest else pair.host_end
    end.meddle = meddle
    guest, host = asyncio.run(both(pair.join(CODE.password()), pair.let_in(invite())))
    for outcome, truth in ((guest, HOST), (host, GUEST)):
        assert outcome == truth or isinstance(outcome, HiveMindError)
    assert pair.adopted in ([], [PAYLOAD])
    assert host != GUEST or pair.adopted == [PAYLOAD]

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.errors import InvalidInput
from hiveminddb.model import NodeId
from hiveminddb.sync.invite import LIFETIME_S, SECRET_WORDS, TRIES, Code, Invite, draw, parse, tag
from hiveminddb.sync.swarm_key import BURST, REFILL_S, SwarmKey
from hiveminddb.sync.words import WORDS

GUEST, OTHER = NodeId("guest"), NodeId("other")
codes = st.builds(Code, st.integers(1, 99), st.tuples(*[st.sampled_from(WORDS)] * SECRET_WORDS))


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_words_are_many_and_cannot_be_taken_for_each_other() -> None:
    assert len({word[:3] for word in WORDS}) == len(WORDS)
    assert all(word.isascii() and word.isalpha() and word.islower() and 4 <= len(word) <= 9 for word in WORDS)
    assert all(_edits(a, b) >= 3 for a, b in itertools.combinations(WORDS, 2))


def test_three_tries_at_a_code_are_worth_less_than_one_in_ten_million() -> None:
    assert TRIES / math.pow(len(WORDS), SECRET_WORDS) < 1e-7


@given(codes, st.data())
def test_a_code_may_be_typed_in_any_case_with_any_separators_and_only_the_first_letters(
    code: Code, data: st.DataObject
) -> None:
    assert parse(str(code)) == code
    typed = [str(code.nameplate)]
    for word in code.words:
        typed.append(word[: data.draw(st.integers(3, len(word)))])
    separator = data.draw(st.sampled_from(["-", " ", "  ", ", ", " - "]))
    assert parse(f" {separator.join(typed)}\n".upper()) == code


@given(st.text())
def test_what_is_no_code_is_refused(text: str) -> None:
    try:
        code = parse(text)
    except InvalidInput:
        return
    assert set(code.words) <= set(WORDS)


@pytest.mark.parametrize(
    "text", ["", "7", "walnut-anchor-ribbon", "7-walnut-anchor", "7-walnut-anchor-ribbon-apple", "7-wa-anchor-ribbon"]
)
def test_a_code_is_a_number_and_three_words_of_the_list(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text)


def test_a_word_that_is_none_of_the_list_is_named() -> None:
    with pytest.raises(InvalidInput, match="'wallnut'"):
        parse("7-wallnut-anchor-ribbon")


def test_the_announced_tag_depends_on_the_number_and_the_node_alone() -> None:
    assert tag(7, GUEST) == tag(7, GUEST) != tag(8, GUEST)
    assert tag(7, GUEST) != tag(7, OTHER)


def test_codes_differ() -> None:
    assert len({str(draw()) for _ in range(100)}) > 95


def test_an_invite_ends_after_ten_minutes() -> None:
    clock = Clock()
    invite = Invite(clock)
    clock.now += LIFETIME_S - 1
    assert (invite.state, invite.password()) == ("open", invite.code.password())
    clock.now += 1
    assert (invite.state, invite.password()) == ("ended", None) and "ten minutes" in invite.reason
    assert not invite.judge(GUEST, True)


def test_an_invite_ends_with_the_third_wrong_try() -> None:
    invite = Invite(Clock())
    for left in range(TRIES - 1, -1, -1):
        assert not invite.judge(GUEST, False)
        assert invite.tries_left == left
    assert invite.state == "ended" and invite.reason == "3 wrong tries"
    assert not invite.judge(GUEST, True)


def test_the_first_who_is_right_keeps_all_others_out_and_may_come_again() -> None:
    invite = Invite(Clock())
    assert (invite.judge(GUEST, True), invite.state) == (True, "joining")
    assert not invite.judge(OTHER, True) and not invite.judge(OTHER, False)
    assert invite.tries_left == TRIES
    assert invite.judge(GUEST, True)
    invite.done()
    assert (invite.state, invite.password()) == ("joined", None) and not invite.judge(GUEST, True)


def test_an_invite_that_was_used_is_not_ended_by_a_newer_one() -> None:
    invite = Invite(Clock())
    invite.done()
    invite.end("a newer code took its place")
    assert invite.state == "joined"


def test_wrong_swarm_keys_are_slowed_down_and_the_door_opens_again() -> None:
    clock = Clock()
    key = SwarmKey("correct horse battery staple", clock)
    for _ in range(BURST):
        assert key.password() is not None
        assert not key.judge(GUEST, False)
    assert key.password() is None and not key.judge(GUEST, True)
    clock.now += REFILL_S
    assert key.judge(GUEST, True)
    assert not key.judge(GUEST, False) and key.password() is None


def test_equal_swarm_keys_have_one_tag_and_one_password_and_the_tag_is_short() -> None:
    one, two = SwarmKey("correct horse", Clock()), SwarmKey("correct horse", Clock())
    assert (one.tag, one.password()) == (two.tag, two.password())
    assert len(one.tag) == 2
    assert SwarmKey("correct house", Clock()).password() != one.password()


def _edits(a: str, b: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b):
            row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
    return row[-1]

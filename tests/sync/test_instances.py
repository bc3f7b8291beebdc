from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.model import NodeId
from hiveminddb.sync.instances import SHOWN_SECONDS, Instances

NODE, OTHER = NodeId("a" * 20), NodeId("b" * 20)


@given(st.lists(st.binary(min_size=8, max_size=8), unique=True, max_size=30), st.data())
def test_a_machine_that_starts_again_and_again_is_one(starts: list[bytes], data: st.DataObject) -> None:
    instances = Instances(lambda: 0.0)
    for start in starts:
        for _ in range(data.draw(st.integers(1, 3))):
            assert not instances.meet(NODE, start)
    assert not instances.doubled(NODE)


def test_two_that_take_turns_run_under_one_identity_until_that_was_long_ago() -> None:
    now = [0.0]
    instances = Instances(lambda: now[0])
    assert [instances.meet(NODE, it) for it in (b"1", b"2", b"1", b"2")] == [False, False, True, False]
    assert instances.doubled(NODE) and not instances.doubled(OTHER)
    now[0] = SHOWN_SECONDS + 1
    assert not instances.doubled(NODE)
    assert instances.meet(NODE, b"1")

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.daemon.swarm.voters import MOST_VOTERS, Step, next_step
from hiveminddb.model import NodeId
from hiveminddb.store.directory import NodeRow

NODES = [NodeId(name * 20) for name in "abcdefg"]
ME = NODES[0]


def member(node: NodeId, role: str = "voter") -> NodeRow:
    return NodeRow(node, b"", node[:1], role, 0)


def test_members_that_are_up_to_date_come_in_one_at_a_time() -> None:
    members = [member(node) for node in NODES[:3]]
    assert next_step(ME, members, {ME}, set()) is None
    assert next_step(ME, members, {ME}, set(NODES)) == Step(NODES[1], adds=True)
    assert next_step(ME, members, set(NODES[:2]), set(NODES)) == Step(NODES[2], adds=True)
    assert next_step(ME, members, set(NODES[:3]), set(NODES)) is None


def test_who_is_no_member_any_more_goes_before_anyone_comes() -> None:
    members = [member(ME), member(NODES[2])]
    assert next_step(ME, members, {ME, NODES[1]}, set(NODES)) == Step(NODES[1], adds=False)


def test_the_leader_goes_last_and_never_as_the_only_one() -> None:
    members = [member(NODES[1])]
    assert next_step(ME, members, {ME, NODES[1], NODES[2]}, set()) == Step(NODES[2], adds=False)
    assert next_step(ME, members, {ME, NODES[1]}, set()) == Step(ME, adds=False)
    assert next_step(ME, [], {ME}, set()) is None


def test_a_learner_stays_one_while_five_vote_and_takes_the_place_of_one_long_away() -> None:
    members, voters = [member(node) for node in NODES[:6]], set(NODES[:5])
    assert next_step(ME, members, voters, set(NODES)) is None
    assert next_step(ME, members, voters, set(NODES), absent={ME, NODES[3]}) == Step(NODES[3], adds=False)
    assert next_step(ME, members, voters, set(), absent={NODES[3]}) is None


@given(st.sets(st.sampled_from(NODES)), st.sets(st.sampled_from(NODES)), st.sets(st.sampled_from(NODES)), st.data())
def test_steps_come_to_an_end_with_no_more_than_five(
    here: set[NodeId], ready: set[NodeId], absent: set[NodeId], data: st.DataObject
) -> None:
    members = [member(node, data.draw(st.sampled_from(["voter", "learner"]))) for node in sorted(here)]
    voters = {ME, *data.draw(st.sets(st.sampled_from(NODES), max_size=4))}
    for _ in range(30):
        # Who is ready is linked, and so not long away.
        step = next_step(ME, members, voters, ready, absent - ready)
        if step is None:
            break
        voters = voters | {step.node} if step.adds else voters - {step.node}
        assert 1 <= len(voters) <= MOST_VOTERS
    else:
        raise AssertionError("no end")

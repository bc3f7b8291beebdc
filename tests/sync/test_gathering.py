from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.errors import Forbidden, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.sync.gathering import MOST_REMEMBERED, Standing, Tries, whom_to_join


def standing(node: str, swarm: str, alone: bool = False) -> Standing:
    return Standing(NodeId(node), swarm, alone)


def test_a_node_alone_joins_the_swarm_of_several_whatever_its_tag() -> None:
    assert whom_to_join(standing("a", "1", alone=True), [standing("c", "9"), standing("b", "9")]) == ("b", "c")


def test_of_two_that_are_alone_one_joins_the_other() -> None:
    one, two = standing("a", "1", alone=True), standing("b", "2", alone=True)
    assert whom_to_join(two, [one]) == ("a",)
    assert whom_to_join(one, [two]) == ()


def test_of_two_swarms_of_several_the_members_of_the_later_one_move() -> None:
    assert whom_to_join(standing("a", "2"), [standing("b", "1"), standing("c", "3"), standing("d", "4", True)]) == (
        "b",
    )


def test_nobody_joins_their_own_swarm() -> None:
    assert whom_to_join(standing("a", "1", alone=True), [standing("b", "1")]) == ()


def test_who_did_not_answer_is_asked_again_soon_and_who_had_another_key_much_later() -> None:
    now = 0.0
    tries = Tries(lambda: now, lambda: 0.5)
    away, stranger, other = NodeId("away"), NodeId("stranger"), NodeId("other")
    for expected in (1, 2, 4, 8, 16, 30, 30):
        tries.failed(away, Unavailable("no answer"))
        assert tries.may(other) and not tries.may(away)
        now += expected
        assert tries.may(away)
    for expected in (60, 120):
        tries.failed(stranger, Forbidden("another key"))
        now += expected - 1
        assert not tries.may(stranger)
        now += 1
        assert tries.may(stranger)


def test_two_that_were_busy_with_each_other_ask_again_at_different_times() -> None:
    now = 0.0
    early, late = Tries(lambda: now, lambda: 0.0), Tries(lambda: now, lambda: 0.9)
    for tries in (early, late):
        tries.failed(NodeId("a"), Unavailable("busy"))
    now = 1.0
    assert early.may(NodeId("a")) and not late.may(NodeId("a"))


def test_inventions_do_not_fill_the_memory() -> None:
    tries = Tries(lambda: 0.0)
    for number in range(2 * MOST_REMEMBERED):
        tries.failed(NodeId(f"node{number}"), Forbidden("another key"))
    assert tries.may(NodeId("node0")) and not tries.may(NodeId(f"node{2 * MOST_REMEMBERED - 1}"))


@dataclass
class World:
    """Nodes that join each other by news as old as the test likes; a join takes two steps, and may be refused."""

    swarm: dict[str, str]
    joining: dict[str, str] = field(default_factory=dict)
    news: dict[tuple[str, str], Standing] = field(default_factory=dict)

    def standing(self, node: str) -> Standing:
        mine = self.swarm[node]
        return standing(node, mine, alone=list(self.swarm.values()).count(mine) == 1)

    def hear(self, node: str, other: str) -> None:
        """The node learns where another stands, as far as it does not move at this moment."""
        if node != other:
            self.news[node, other] = self.standing(other)

    def begin(self, node: str, choice: int = 0) -> None:
        """The node begins to join one of those it should, where there are any."""
        known = [news for (knower, _), news in self.news.items() if knower == node]
        targets = whom_to_join(self.standing(node), known)
        if targets and node not in self.joining:
            self.joining[node] = targets[choice % len(targets)]

    def end(self, node: str) -> None:
        """The join comes about, unless the other is joining somebody itself."""
        target = self.joining.pop(node, None)
        if target and target not in self.joining and self._still_better(node, target):
            self.swarm[node] = self.swarm[target]

    def settle(self) -> int:
        """Everybody hears everybody and acts on it, until nobody moves; how many rounds that took."""
        for round_number in range(100):
            before = dict(self.swarm)
            for node in sorted(self.swarm):
                self.end(node)
                for other in self.swarm:
                    self.hear(node, other)
                self.begin(node)
                self.end(node)
            if self.swarm == before and not self.joining:
                return round_number
        raise AssertionError(f"they never settle: {self.swarm}")

    def _still_better(self, node: str, target: str) -> bool:
        """What both sides check once they have introduced themselves."""
        return whom_to_join(self.standing(node), [self.standing(target)]) != ()


nodes = st.integers(1, 7).flatmap(lambda count: st.permutations(range(count)))
steps = st.lists(
    st.tuples(st.sampled_from(["hear", "begin", "end"]), st.integers(0, 6), st.integers(0, 6)), max_size=150
)


@settings(max_examples=400)
@given(nodes, steps)
def test_nodes_that_start_in_any_order_with_any_news_end_in_one_swarm(
    tags: list[int], history: list[tuple[str, int, int]]
) -> None:
    world = World({f"node{n}": f"swarm{tag}" for n, tag in enumerate(tags)})
    names = list(world.swarm)
    for step, first, second in history:
        node, other = names[first % len(names)], names[second % len(names)]
        if step == "hear":
            world.hear(node, other)
        elif step == "begin":
            world.begin(node, second)
        else:
            world.end(node)
    assert world.settle() <= len(names) + 1
    assert len(set(world.swarm.values())) == 1


@settings(max_examples=200)
@given(st.lists(st.sampled_from("123"), min_size=2, max_size=8))
def test_swarms_that_grew_apart_become_one(swarms: list[str]) -> None:
    world = World({f"node{n}": swarm for n, swarm in enumerate(swarms)})
    world.settle()
    assert len(set(world.swarm.values())) == 1


def test_five_that_start_at_once_and_see_each_other_are_one_swarm_after_a_round() -> None:
    world = World({f"node{n}": f"swarm{n}" for n in range(5)})
    for node in world.swarm:
        for other in world.swarm:
            world.hear(node, other)
    for node in world.swarm:
        world.begin(node)
    for node in world.swarm:
        world.end(node)
    assert set(world.swarm.values()) == {"swarm0"}

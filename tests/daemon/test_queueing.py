from __future__ import annotations

import pytest

from hiveminddb.daemon.swarm.queueing import Queue
from hiveminddb.model import NodeId
from hiveminddb.store.commits import Run

pytestmark = pytest.mark.anyio

A, B = NodeId("a" * 20), NodeId("b" * 20)


async def test_each_is_told_the_position_of_its_own_change() -> None:
    queue = Queue()
    answers = [queue.join(A, counter) for counter in (7, 5, 6, 8)]
    queue.placed(Run(100, A, 5, 3))
    assert [answer.done() for answer in answers] == [True, True, True, False]
    assert [answer.result() for answer in answers[:3]] == [102, 100, 101]


async def test_who_came_after_its_change_was_placed_waits_for_the_database() -> None:
    queue = Queue()
    late, next_one = queue.join(A, 4), queue.join(A, 5)
    queue.placed(Run(100, A, 5, 1))
    assert (late.done(), next_one.result()) == (False, 100)
    queue.reached(A, 5)
    assert late.result() is None


async def test_another_origin_answers_nobody() -> None:
    queue = Queue()
    answer = queue.join(A, 1)
    queue.placed(Run(1, B, 1, 9))
    queue.reached(B, 9)
    assert not answer.done()


async def test_who_waits_no_longer_is_passed_over() -> None:
    queue = Queue()
    gone, there = queue.join(A, 1), queue.join(A, 1)
    gone.cancel()
    queue.placed(Run(9, A, 1, 1))
    assert (gone.cancelled(), there.result()) == (True, 9)

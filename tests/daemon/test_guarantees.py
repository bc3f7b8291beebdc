from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hiveminddb.daemon.guarantees import Acknowledging
from hiveminddb.daemon.usecases import Receipt
from hiveminddb.errors import NoQuorum, OutcomeUnknown

pytestmark = pytest.mark.anyio

PENDING, COMMITTED = Receipt("pending", None), Receipt("committed", 4)


@dataclass
class Order:
    """An order that gives the next change this position, None for none in time."""

    quorum: bool = True
    seq: int | None = 9
    asked: list[tuple[int, float]] = field(default_factory=list)

    def has_quorum(self) -> bool:
        return self.quorum

    async def placed(self, counter: int, seconds: float) -> int | None:
        self.asked.append((counter, seconds))
        return self.seq


def acks(order: Order) -> Acknowledging:
    return Acknowledging(order.has_quorum, order.placed)


async def test_what_is_committed_already_is_answered_at_once() -> None:
    order = Order()
    assert [await acks(order).end(COMMITTED, 5, ack) for ack in ("local", "auto", "quorum")] == [COMMITTED] * 3
    assert order.asked == []


async def test_local_waits_for_nobody() -> None:
    order = Order()
    acks(order).begin("local")
    assert (await acks(order).end(PENDING, 5, "local"), order.asked) == (PENDING, [])


async def test_auto_waits_a_second_where_there_is_quorum_and_not_at_all_where_there_is_none() -> None:
    order = Order()
    assert (await acks(order).end(PENDING, 5, "auto"), order.asked) == (Receipt("committed", 9), [(5, 1.0)])
    assert await acks(Order(seq=None)).end(PENDING, 5, "auto") == PENDING
    away = Order(quorum=False)
    acks(away).begin("auto")
    assert (await acks(away).end(PENDING, 5, "auto"), away.asked) == (PENDING, [])


async def test_quorum_refuses_before_anything_is_written_and_never_claims_what_it_cannot_know() -> None:
    with pytest.raises(NoQuorum, match="nothing was written"):
        acks(Order(quorum=False)).begin("quorum")
    assert await acks(Order()).end(PENDING, 5, "quorum") == Receipt("committed", 9)
    with pytest.raises(OutcomeUnknown, match="written and kept here"):
        await acks(Order(seq=None)).end(PENDING, 5, "quorum")

"""What consensus has ordered is kept, also where it does not fit yet."""

from __future__ import annotations

import random

import pytest

from hiveminddb.daemon import intake
from hiveminddb.model import Change
from tests.daemon.island import Island, agree, islands


def kept(island: Island) -> int:
    return int(island.connection.execute("SELECT count(*) FROM ahead").get)


def order(island: Island, some: list[Change]) -> None:
    island.write(lambda tx: island.intake.take(tx, some, ordered=True))


def test_ordered_changes_beyond_a_gap_are_kept_until_it_closes() -> None:
    with islands("a", "b") as (a, b):
        for n in range(6):
            a.add("notes", f"memory {n}")
        log = a.log()
        order(b, log[4:])
        assert b.log() == []
        assert kept(b) == len(log) - 4
        order(b, log[4:])
        b.take(log[:4])
        b.write(b.intake.take_kept)
        assert b.log() == log
        assert kept(b) == 0
        agree([a, b])


def test_of_many_kept_changes_a_transaction_takes_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "AT_ONCE", 4)
    with islands("a", "b") as (a, b):
        for n in range(9):
            a.add("notes", f"memory {n}")
        log = a.log()
        order(b, log[1:])
        assert b.take(log[:1]) == 2
        assert [b.write(b.intake.take_kept) for _ in range(4)] == [4, 4, 0, 0]
        assert (b.log(), kept(b)) == (log, 0)
        agree([a, b])


def test_changes_of_anti_entropy_beyond_a_gap_are_left() -> None:
    with islands("a", "b") as (a, b):
        a.add("notes", "one")
        a.add("notes", "two")
        assert b.take(a.log()[1:]) == 0
        assert kept(b) == 0


def test_whatever_comes_in_whatever_order_ends_whole() -> None:
    chance = random.Random(7)
    with islands("a", "b") as (a, b):
        for n in range(20):
            a.add("notes", f"memory {n}")
        log = a.log()
        for _ in range(60):
            start = chance.randrange(len(log))
            part = log[start : start + chance.randint(1, 5)]
            order(b, part) if chance.random() < 0.5 else b.take(part)
        b.take(log)
        assert b.log() == log
        assert kept(b) == 0

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.daemon.swarm.address_book import MOST_PLACES, AddressBook
from hiveminddb.model import NodeId
from hiveminddb.store.database import Database
from hiveminddb.sync.address import Address

pytestmark = pytest.mark.anyio

A, B = NodeId("a" * 20), NodeId("b" * 20)
BOTH = frozenset({A, B})


async def test_places_are_known_again_after_a_restart_the_latest_first(tmp_path: Path) -> None:
    async with Database(tmp_path / "db") as database:
        book = AddressBook(database)
        assert await book.load() == {}
        for port in (1, 2, 1):
            await book.note(A, Address("10.0.0.7", port), BOTH)
        await book.note(B, Address("fe80::1%eth0", 8101), BOTH)
        again = await AddressBook(database).load()
    assert again == {A: [Address("10.0.0.7", 1), Address("10.0.0.7", 2)], B: [Address("fe80::1%eth0", 8101)]}


async def test_few_places_are_kept_and_none_of_strangers(tmp_path: Path) -> None:
    async with Database(tmp_path / "db") as database:
        book = AddressBook(database)
        await book.note(B, Address("h", 1), BOTH)
        for port in range(1, 10):
            await book.note(A, Address("h", port), frozenset({A}))
        again = await AddressBook(database).load()
    assert again == {A: [Address("h", port) for port in range(9, 9 - MOST_PLACES, -1)]}


async def test_a_damaged_book_is_an_empty_one(tmp_path: Path) -> None:
    async with Database(tmp_path / "db") as database:
        await database.write(lambda tx: tx.set_meta("swarm.addresses", "[1"))
        assert await AddressBook(database).load() == {}

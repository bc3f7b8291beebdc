from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from hiveminddb.store import rebuild as rebuilding
from hiveminddb.store.check import check
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.rebuild import rebuild
from hiveminddb.store.transaction import Transaction
from tests.store.making import NODE, PROJECTIONS, add, change_of, dump, find, new_id, packed, project, row_of

pytestmark = pytest.mark.anyio


def some_life(tx: Transaction, chance: random.Random, documents: list[str]) -> None:
    """One random change, of a new memory or a known one."""
    fields: dict[str, Any] = {"content": " ".join(chance.choices(("ant", "bee", "cat", "dog"), k=3))}
    if not documents or chance.random() < 0.4:
        documents.append(new_id(chance))
        fields |= {"topic": chance.choice("xyz"), "tags": chance.sample("abc", 2)}
        target = documents[-1]
    else:
        target = chance.choice(documents)
        fields = chance.choice(
            [
                fields,
                {"tags": ["b"]},
                {"topic": "z"},
                {"invalidated_at": 5},
                {"invalidated_at": None},
                {"listed": False},
            ]
        )
    change = change_of(target, tx.next_counter(NODE), update=packed(target, **fields))
    n = tx.append_change(change)
    assert isinstance(n, int)
    project(tx, n, change)


async def test_every_projection_made_anew_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "_CHUNK", 7)
    chance = random.Random(3)
    documents: list[str] = []
    async with Database(tmp_path / "x.db") as database:
        for _ in range(150):
            await database.write(lambda tx: some_life(tx, chance, documents))
        before = await settled(database)
        assert await database.write(lambda tx: rebuild(tx, project)) == 150
        assert await settled(database) == before
        assert [finding for finding in await database.read(check) if not finding.ok] == []
        # Life goes on as if nothing had happened.
        await database.write(lambda tx: some_life(tx, chance, documents))
        assert [finding for finding in await database.read(check) if not finding.ok] == []


async def test_a_rebuild_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    chance = random.Random(4)
    documents: list[str] = []
    calls = iter(range(30))

    def stumbling(tx: Transaction, n: int, change: Any) -> None:
        if next(calls) == 20:
            raise LookupError("stumbled")
        project(tx, n, change)

    async with Database(tmp_path / "x.db") as database:
        for _ in range(40):
            await database.write(lambda tx: some_life(tx, chance, documents))
        before = await settled(database)
        with pytest.raises(LookupError):
            await database.write(lambda tx: rebuild(tx, stumbling))
        assert await settled(database) == before
        await database.write(lambda tx: add(tx, row_of("after", "elephant")))
        assert await find(database, "elephant") == ["after"]


async def test_damage_of_projections_is_found_and_repaired(tmp_path: Path) -> None:
    chance = random.Random(5)
    documents: list[str] = []
    async with Database(tmp_path / "x.db") as database:
        for _ in range(40):
            await database.write(lambda tx: some_life(tx, chance, documents))
        before = await settled(database)
        for damage in (
            "DELETE FROM memories WHERE slot = (SELECT max(slot) FROM memories)",
            "DELETE FROM memory_tags WHERE tag = 'b'",
            "DELETE FROM entries WHERE rowid = (SELECT max(id) FROM entries_docsize)",
            "DELETE FROM past WHERE n = (SELECT min(n) FROM past)",
            "UPDATE documents SET n = n - 1",
            "INSERT INTO memory_tags VALUES ('stray', 'nobody')",
        ):
            await database.write(lambda tx, damage=damage: tx.connection.execute(damage) and None)  # type: ignore[misc]
            broken = [finding for finding in await database.read(check) if not finding.ok]
            assert broken and all(finding.rebuild for finding in broken), damage
            await database.write(lambda tx: rebuild(tx, project))
            assert await settled(database) == before


async def settled(database: Database) -> dict[str, list[Any]]:
    await database.write(Transaction.flush_index)
    return await database.read(whole)


def whole(connection: Connection) -> dict[str, list[Any]]:
    return dump(connection, (*PROJECTIONS, "to_mirror", "to_embed"))

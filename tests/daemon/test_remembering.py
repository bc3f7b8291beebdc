"""What a save is remembered as: the text it was, whatever others had done to its entries before the daemon saw it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hiveminddb.daemon.entries import Author
from hiveminddb.daemon.mirror.bases import base_entries
from hiveminddb.daemon.retiring import retire, revive
from hiveminddb.store import vault_state
from hiveminddb.store.database import Database
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.transaction import Transaction
from hiveminddb.vault.choosing import render
from hiveminddb.vault.files import digest_of
from tests.daemon.paper import TOPIC, Paper

pytestmark = pytest.mark.anyio

API = Author("api")
LONG = "## 2026-01-02 10:00\n\nquite a long memory, of which somebody has had enough by now, with many words in it\n\n"
FILE = f"# notes\n\n## 2026-01-01 10:00\n\nfirst\n\n{LONG}"
NEW = "## 2026-01-03 10:00\n\nnew\n\n"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Paper]:
    async with Database(tmp_path / "x.db") as database:
        made = Paper(database)
        await made.save(FILE)
        yield made


async def forgotten(it: Paper) -> None:
    await it.write(lambda tx: retire(tx, it.pipeline, row_of(tx, "quite a long"), API))


async def restored(it: Paper) -> None:
    await forgotten(it)

    def again(tx: Transaction) -> None:
        row = tx.memory(long)
        assert row
        revive(tx, it.pipeline, row, API)

    long = (await it.gone())[0].id
    await it.write(again)


async def shortened(it: Paper) -> None:
    def shorten(tx: Transaction) -> None:
        row = row_of(tx, "quite a long")
        it.pipeline.edit(tx, row, "update", API, text=row.text.replace(", with many words in it", ""))

    await it.write(shorten)


def row_of(tx: Transaction, beginning: str) -> MemoryRow:
    return next(row for row in tx.entries_of(TOPIC) if row.content.startswith(beginning))


async def remembered(it: Paper, text: str) -> str:
    def read(tx: Transaction) -> str:
        bases = vault_state.vault_bases(tx.connection, TOPIC)
        return render(base_entries(tx, [base for base in bases if base.digest == digest_of(text)][0]))

    return await it.write(read)


@pytest.mark.parametrize("before", [forgotten, restored, shortened])
async def test_a_save_that_takes_out_what_others_have_just_changed_is_remembered_as_it_was(
    it: Paper, before: Callable[[Paper], Awaitable[None]]
) -> None:
    await before(it)
    await it.add_unseen("a word")
    saved = FILE.replace(LONG, "") + NEW
    await it.save(saved)
    assert await remembered(it, saved) == saved
    await it.save(saved + "## 2026-01-04 10:00\n\nnewer\n\n")
    assert {row.content for row in await it.living()} >= {"first", "new", "a word", "newer"}


async def test_a_save_that_only_takes_out_what_is_gone_already_is_remembered(it: Paper) -> None:
    await forgotten(it)
    await it.add_unseen("a word")
    saved = FILE.replace(LONG, "")
    await it.save(saved)
    assert await remembered(it, saved) == saved
    await it.save(saved.replace("first", "first, edited by one who has not seen the word"))
    assert "a word" in {row.content for row in await it.living()}

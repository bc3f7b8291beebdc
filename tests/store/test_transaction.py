from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hiveminddb.store import changes, history, outbox
from hiveminddb.store.changes import LoggedChange
from hiveminddb.store.check import check
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.memories import entries_of, invalidated_of, memories, memory
from hiveminddb.store.outbox import Mark
from hiveminddb.store.rows import to_memory
from hiveminddb.store.transaction import Placement, Skipped, Transaction
from hiveminddb.store.vault_state import VaultBase, VaultFile, vault_bases, vault_file, vault_files
from tests.store.making import add, alter, change_of, find, row_of

pytestmark = pytest.mark.anyio


async def test_a_change_known_already_is_not_appended_again(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        append = database.write
        assert await append(lambda tx: tx.append_change(change_of("doc1", 1))) == 1
        assert await append(lambda tx: tx.append_change(change_of("doc1", 1))) is Skipped.KNOWN
        assert await append(lambda tx: tx.append_change(change_of("doc1", 1, origin="peer"))) == 2
        assert await append(lambda tx: tx.append_change(change_of("doc1", 2, origin="peer"))) == 3
        assert await append(lambda tx: tx.append_change(change_of("doc1", 1, origin="peer"))) is Skipped.KNOWN
        assert await append(lambda tx: (tx.next_counter("node-a"), tx.next_counter("peer"), tx.order.seq)) == (2, 3, 3)
        assert [c.counter for c in await database.read(lambda c: changes.changes_of(c, "doc1"))] == [1, 1, 2]
        assert [c.counter for c in await database.read(lambda c: changes.changes_of(c, "doc1", 2))] == [1, 1]
        assert await database.read(changes.last_hlc) == 2 << 16


async def test_a_change_beyond_a_gap_is_not_taken(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        append = database.write
        assert await append(lambda tx: tx.append_change(change_of("doc1", 2, origin="peer"))) is Skipped.GAP
        assert await append(lambda tx: tx.append_change(change_of("doc1", 1, origin="peer"))) == 1
        assert await append(lambda tx: tx.append_change(change_of("doc1", 3, origin="peer"))) is Skipped.GAP
        assert await append(lambda tx: tx.append_change(change_of("doc1", 2, origin="peer"))) == 2
        assert await database.read(changes.version_vector) == {"peer": 2}


async def test_counters_go_on_after_reopening(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        row = row_of(f"id{expected}", "x")
        async with Database(tmp_path / "x.db") as database:
            assert await database.write(partial(alter, row=row)) == expected
            assert await database.write(lambda tx: tx.next_counter("node-a")) == expected + 1


async def test_the_state_of_a_document_with_one_change_is_that_change(tmp_path: Path) -> None:
    def work(tx: Transaction) -> list[bytes | None]:
        states = [tx.state("doc1")]
        tx.append_change(change_of("doc1", 1, update=b"one"))
        states.append(tx.state("doc1"))
        n = tx.append_change(change_of("doc1", 2, update=b"two"))
        assert n == 2
        tx.put_document("doc1", "memory", n, b"both")
        return [*states, tx.state("doc1")]

    async with Database(tmp_path / "x.db") as database:
        assert await database.write(work) == [None, b"one", b"both"]


async def test_a_row_comes_back_as_it_was_put(tmp_path: Path) -> None:
    row = row_of(
        "full",
        "שלום 😀\0",
        tags=("b", "a"),
        user_id="u",
        agent_id="g",
        session_id="s",
        speaker="p",
        metadata='{"k": [1]}',
        confidence=0.25,
        source="src",
        valid_from=-5,
        valid_until=9,
        listed=False,
        memory_type="episodic",
    )
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row))
        stored = await database.read(lambda c: memory(c, "full"))
        assert stored == replace(row, tags=("a", "b"), slot=1, version=1)
        seen = to_memory(stored)
        assert (seen.content, seen.tags, seen.metadata) == ("שלום 😀\0", ("a", "b"), {"k": [1]})
        assert seen.valid_from is not None and seen.valid_from.isoformat() == "1969-12-31T23:59:59.999995+00:00"
        assert await database.read(lambda c: memories(c, ["full", "none"])) == {"full": stored}


async def test_a_new_text_gets_a_new_slot_and_the_old_text_is_kept(tmp_path: Path) -> None:
    first, second = row_of("idid", "apples"), row_of("idid", "pears", tags=("fruit",))

    def put(tx: Transaction) -> Placement:
        n = tx.append_change(change_of("idid", tx.next_counter("node-a"), action="update", reason="ripe"))
        assert isinstance(n, int)
        return tx.put_memory(second, n)

    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, first, row_of("else", "stones")))
        placed = await database.write(put)
        assert (placed.slot, placed.version) == (3, 2)
        assert placed.old is not None and placed.old.content == "apples"
        assert [await find(database, "apple"), await find(database, "pear")] == [[], ["idid"]]
        versions = await database.read(lambda c: history.versions_of(c, "idid"))
        assert [(v.version, v.action, v.content, v.reason) for v in versions] == [
            (1, "add", "apples", ""),
            (2, "update", "pears", "ripe"),
        ]
        assert await database.read(lambda c: c.execute("SELECT tag, id FROM memory_tags").fetchall()) == [
            ("fruit", "idid")
        ]


async def test_an_invalidated_memory_leaves_file_and_index_and_comes_back_to_a_slot_of_its_own(tmp_path: Path) -> None:
    row = row_of("idid", "apples")
    gone = replace(row, invalidated_at=5, invalidated_by="me", invalidated_reason="old")
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row))
        await database.write(lambda tx: alter(tx, gone, "invalidate"))
        assert await find(database, "apples") == []
        assert await database.read(lambda c: entries_of(c, "notes")) == []
        assert [r.id for r in await database.read(lambda c: invalidated_of(c, "notes"))] == ["idid"]
        await database.write(lambda tx: alter(tx, row, "restore"))
        stored = await database.read(lambda c: memory(c, "idid"))
        assert stored is not None and (stored.slot, stored.version) == (2, 3)
        assert await find(database, "apples") == ["idid"]
        versions = await database.read(lambda c: history.versions_of(c, "idid"))
        assert [(v.version, v.alive, v.content) for v in versions] == [
            (1, 1, "apples"),
            (2, 0, "apples"),
            (3, 1, "apples"),
        ]
        assert all(finding.ok for finding in await database.read(check))


async def test_the_outbox_is_marked_where_a_file_or_a_text_changed(tmp_path: Path) -> None:
    def marks(connection: Connection) -> list[tuple[str, str, int]]:
        both = [*outbox.pending(connection, "mirror", 10), *outbox.pending(connection, "embed", 10)]
        return [(mark.kind, mark.key, mark.n) for mark in both]

    row = row_of("idid", "apples")
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row))
        assert await database.read(marks) == [("mirror", "notes", 1), ("embed", "idid", 1)]
        await database.write(lambda tx: [tx.unmark("mirror", "notes", 1), tx.unmark("embed", "idid", 1)])
        await database.write(lambda tx: alter(tx, replace(row, tags=("x",))))
        assert await database.read(marks) == []
        await database.write(lambda tx: alter(tx, replace(row, topic="moved"), "move"))
        assert sorted(await database.read(marks)) == [("mirror", "moved", 3), ("mirror", "notes", 3)]
        await database.write(lambda tx: alter(tx, row_of("idid", "pears", topic="moved")))
        assert ("embed", "idid", 4) in await database.read(marks)
        assert ("mirror", "notes", 3) in await database.read(marks)
        # Work seen as of change 3 is not all the work there is by now.
        assert await database.write(lambda tx: tx.unmark("mirror", "moved", 3)) is False
        assert await database.write(lambda tx: tx.unmark("mirror", "moved", 4)) is True
        assert await database.read(lambda c: outbox.pending_count(c, "mirror")) == 1
        assert await database.read(lambda c: outbox.pending_mark(c, "moved")) is None


async def test_the_outbox_is_paged_oldest_first(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, *(row_of(key, key) for key in "abcde")))
        for topic, n in (("x", 7), ("y", 7), ("z", 6), ("v", 8)):
            await database.write(partial(Transaction.mark, kind="mirror", key=topic, n=n))
        first = await database.read(lambda c: outbox.pending(c, "embed", 2))
        assert first == [Mark("embed", "a", 1), Mark("embed", "b", 2)]
        rest = await database.read(lambda c: outbox.pending(c, "embed", 9, after=first[-1]))
        assert [mark.key for mark in rest] == ["c", "d", "e"]
        files = await database.read(lambda c: outbox.pending(c, "mirror", 3))
        assert [(mark.key, mark.n) for mark in files] == [("notes", 5), ("z", 6), ("x", 7)]
        rest = await database.read(lambda c: outbox.pending(c, "mirror", 3, after=files[-1]))
        assert [(mark.key, mark.n) for mark in rest] == [("y", 7), ("v", 8)]


async def test_the_feed_tells_where_a_memory_is_now(tmp_path: Path) -> None:
    row = row_of("idid", "apples")
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: add(tx, row))
        await database.write(lambda tx: alter(tx, replace(row, topic="moved"), "move"))
        await database.write(lambda tx: tx.append_change(change_of("chan", 3, kind="channel")))
        lines = await database.read(lambda c: changes.feed(c, 0, 10))
        assert [(line.n, line.seq, line.action, line.topic) for line in lines] == [
            (1, 1, "add", "moved"),
            (2, 2, "move", "moved"),
            (3, 3, "add", None),
        ]
        assert await database.read(lambda c: changes.feed(c, 1, 1)) == [
            LoggedChange(2, 2, "idid", "memory", "move", "tester", "", 2 << 16, "moved")
        ]


def put_bases(tx: Transaction, *bases: VaultBase) -> None:
    for base in bases:
        tx.put_vault_base(base, keep=3)


async def test_the_vaults_state_is_kept_with_inodes_of_64_bits(tmp_path: Path) -> None:
    file = VaultFile("notes", 3, 10, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, (1 << 64) - 2, "digest")
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: tx.put_vault_file(replace(file, n=1)))
        await database.write(lambda tx: tx.put_vault_file(file))
        assert await database.read(lambda c: vault_file(c, "notes")) == file
        bases = [VaultBase("notes", n, n, "mirror", "digest", (n,)) for n in range(1, 6)]
        other = VaultBase("other", 1, 1, "disk", "digest")
        await database.write(lambda tx: put_bases(tx, *bases, other))
        assert await database.read(lambda c: vault_bases(c, "notes")) == bases[:1:-1]
        await database.write(lambda tx: tx.drop_vault_base(bases[-1]))
        assert await database.read(lambda c: vault_bases(c, "notes")) == bases[3:1:-1]
        await database.write(lambda tx: tx.drop_vault_file("notes"))
        assert await database.read(vault_files) == []


async def test_small_facts_are_kept(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db") as database:
        await database.write(lambda tx: tx.set_meta("model", "a"))
        await database.write(lambda tx: tx.set_meta("model", "b"))
        assert await database.read(lambda c: c.execute("SELECT value FROM meta WHERE key = 'model'").get) == "b"

"""What other nodes send is taken in as it is meant, in whatever order it comes, and nothing they send does harm."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest

from hiveminddb.errors import Corrupt
from hiveminddb.model import Change, DocumentId, NodeId
from hiveminddb.store import outbox
from hiveminddb.store.check import check
from hiveminddb.sync import document
from hiveminddb.sync.clock import AHEAD_MILLISECONDS, pack
from hiveminddb.vault.topics import refusal
from tests.daemon.island import Island, agree, islands, meet

EVIL = NodeId("evil")


def evil(counter: int, update: bytes, id: str = "evil", hlc: int = 1 << 20, kind: str = "memory") -> Change:
    return Change(EVIL, counter, DocumentId(id), kind, "add", "somebody", "", hlc, update)


def made(**fields: Any) -> bytes:
    return document.create("## 2026-01-01\n\nx\n\n", {"topic": "notes", "position": "a0", "role": "entry", **fields})


def assert_whole(island: Island) -> None:
    assert [finding for finding in check(island.connection) if not finding.ok] == []


def test_one_by_one_and_all_at_once_leave_the_same() -> None:
    with islands("a", "b", "c") as (a, b, c):
        a.save("notes", "---\ntags: [x]\n---\n# Notes\n\nprose\n\n## 2026-01-01 10:00:00 UTC\n\nfirst\n\n")
        row = a.add("notes", "one")
        a.add("other", "two")
        a.edit(row.id, text=row.text + "more\n")
        a.add("other", "three")
        a.mirror()
        assert b.take(a.log()) == len(a.log())
        assert sum(c.take([change]) for change in a.log()) == len(a.log())
        assert b.local() == c.local()
        assert b.take(a.log()) == 0
        assert b.topics.resolve("Other") == "other"
        assert {mark.key for mark in outbox.pending(b.connection, "mirror", 10)} == {"notes", "other"}
        assert len({mark.key for mark in outbox.pending(b.connection, "embed", 10)}) == 5
        meet([a, b, c])
        agree([a, b, c])


def test_a_memory_shows_once_the_change_that_made_it_comes() -> None:
    with islands("a", "b", "c") as (a, b, c):
        row = a.add("notes", "made by a")
        b.hear(a)
        b.edit(row.id, text=row.text.replace("made", "made better"), topic="other", position="a5")
        b.edit(row.id, user_id="ann")
        c.take([change for change in b.log() if change.origin == "b"])
        assert c.portable()["memories"] == []
        assert_whole(c)
        c.rebuild()
        assert_whole(c)
        c.hear(a)
        assert c.contents("other") == ["made better by a"]
        assert c.row(row.id).version == 3
        assert_whole(c)
        meet([a, b, c])
        agree([a, b, c])


def test_changes_beyond_a_gap_are_left_and_said_to_be() -> None:
    with islands("a", "b") as (a, b):
        for number in range(4):
            a.add("notes", f"number {number}")
        log = a.log()
        taken = b.write(lambda tx: b.intake.take(tx, [*log[:2], *log[3:]]))
        assert (taken.new, list(taken.lacking)) == (2, ["a"])
        assert b.take(log[1:]) == 3
        b.mirror()
        assert b.portable()["memories"] == a.portable()["memories"]


def test_what_is_no_update_is_kept_reported_once_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with islands("a", "b") as (a, b):
        row = a.add("notes", "x")
        b.hear(a)
        caplog.set_level(logging.WARNING)
        changes = [evil(1, b"\xff\xff\xff\xff\x0f", row.id), evil(2, b"garbage", "new"), evil(3, made(), "other")]
        changes += [evil(4, made(), "not a memory", kind="of a later version")]
        assert b.take(changes) == 4
        assert len(caplog.records) == 3
        assert b.take(changes) == 0
        b.rebuild()
        assert len(caplog.records) == 3
        assert b.contents("notes") == ["x", "x"]
        assert b.row(row.id).version == 2
        assert_whole(b)
        meet([a, b])
        agree([a, b])


@pytest.mark.parametrize("topic", ["../escape", "/etc/passwd", "a\x00b", ".hivemind/x", "", "a//b", "x" * 300, 5, None])
def test_a_topic_that_must_be_no_file_gets_another_name(topic: Any) -> None:
    with islands("a", "b") as (a, b):
        a.add("notes", "x")
        a.take([evil(1, made(topic=topic)), evil(2, made(topic=topic, position="a1"), "second")])
        meet([a, b])
        agree([a, b])
        (name,) = set(a.files) - {"notes"}
        assert refusal(name + ".md") is None
        assert a.contents(name) == ["x", "x"]
        # It is a file like any other.
        a.save(name, a.files[name].replace("x", "y"))
        a.add(name, "added")
        b.forget("evil")
        meet([a, b])
        agree([a, b])
        assert "y" in a.contents(name) and "added" in a.contents(name)


def test_a_clock_that_is_far_ahead_does_not_take_ours_along() -> None:
    with islands("a") as (a,):
        a.take([evil(1, made(), hlc=(1 << 63) - 1)])
        before = a.pipeline.clock.now()
        assert before < pack(AHEAD_MILLISECONDS * 2) + a.log()[0].hlc
        a.add("notes", "now")
        own = next(change for change in a.log() if change.origin == "a")
        assert own.hlc < pack(4_000_000_000_000)
        assert a.row("evil").updated_at > 0
        assert a.history("evil")[0].timestamp.year == 6429


def test_times_that_no_database_holds_are_refused() -> None:
    with islands("a") as (a,):
        for hlc in (-1, 1 << 63):
            with pytest.raises(Corrupt):
                a.take([evil(1, made(), hlc=hlc)])
        assert a.log() == []
        assert a.take([evil(1, made())]) == 1


def test_histories_are_in_the_order_of_time_whatever_place_the_swarm_has_decided() -> None:
    with islands("a", "b") as (a, b):
        row = a.add("notes", "text")
        meet([a, b])
        a.edit(row.id, text=row.text.replace("text", "text by a"))
        b.edit(row.id, text=row.text.replace("text", "the text"))
        meet([a, b])
        pending = a.history(row.id)
        assert pending == b.history(row.id)
        assert [version.seq for version in pending] == [None] * 3
        # What b wrote later came first in the order; it is later in history all the same.
        for it in (a, b):
            it.write(lambda tx: [tx.order.take(*run) for run in (("a", 1, 2), ("b", 1, 1), ("a", 3, 1))])
        assert a.history(row.id) == b.history(row.id)
        assert [version.new_content for version in a.history(row.id)] == ["text", "text by a", "the text by a"]
        assert [version.seq for version in a.history(row.id)] == [2, 4, 3]
        agree([a, b])


def test_defaults_of_a_file_reach_its_entries_in_whatever_order_they_come() -> None:
    chance = random.Random(4)
    with islands("a", "b", "c") as (a, b, c):
        a.save("notes", "---\ntags: [x]\nuser: ann\n---\n# Notes\n")
        meet([a, b, c])
        gone = b.add("notes", "gone")
        b.add("notes", "by b")
        b.forget(gone.id)
        a.save("notes", a.files["notes"].replace("[x]", "[y, z]"))
        meet([a, b, c], chance)
        agree([a, b, c])
        assert {row.tags for row in c.living("notes") if row.role == "entry"} == {("y", "z")}
        assert c.row(gone.id).user_id == "ann"


def test_a_memory_of_the_first_second_of_all_time_is_that_old_everywhere() -> None:
    with islands("a", "b", "c") as (a, b, c):
        a.save("notes", "## 1970-01-01 00:00:00 UTC\n\nold\n\n")
        meet([a, b, c])
        (row,) = a.living("notes")
        a.edit(row.id, user_id="ann")
        c.forget(row.id)
        meet([a, b, c])
        agree([a, b, c])
        assert b.row(row.id).created_at == 0


def test_a_file_that_got_the_name_of_one_just_renamed_stays_when_both_are_heard_of_at_once() -> None:
    with islands("a", "b") as (a, b):
        a.save("small", "# Small\n\nA few words on this.\n")
        b.hear(a)
        b.mirror()
        b.save("large", "# Large\n\nA great many words on that.\n")
        a.hear(b)
        b.rename("large", "larger")
        b.rename("small", "large")
        a.hear(b)
        meet([a, b])
        assert [row.content for row in a.living("large")] == ["# Small\n\nA few words on this."]
        assert [row.content for row in a.living("larger")] == ["# Large\n\nA great many words on that."]
        agree([a, b])

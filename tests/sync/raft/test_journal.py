from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.errors import Corrupt, DiskFull, StorageError
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.journal import NAME, Base, Entry, Journal
from hiveminddb.sync.raft.storage import Folder
from tests.sync.raft.power import Disk, PowerLost

VOTERS = frozenset(map(NodeId, "abc"))
START = Base(0, 0, VOTERS)

# What is done to a log: how many entries are added, how many cut off, a new term, a sync, a cut at the front.
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 5)),
        st.tuples(st.just("cut"), st.integers(1, 4)),
        st.tuples(st.just("term"), st.integers(1, 3)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.just("compact"), st.integers(1, 6)),
    ),
    max_size=30,
)

State = tuple[list[Entry], int, NodeId | None, Base]


def state(journal: Journal) -> State:
    entries = journal.between(journal.base_index, journal.last_index)
    return entries, journal.getCurrentTerm(), journal.getVotedForNodeId(), journal.base


def act(journal: Journal, action: str, amount: int) -> None:
    if action == "add":
        for _ in range(amount):
            index = journal.last_index + 1
            journal.add(b"\x04" + b"%d" % index * amount, index, journal.getCurrentTerm())
    elif action == "cut" and journal.last_index - amount >= journal.base_index:
        journal.deleteEntriesFrom(len(journal) - amount)
    elif action == "term":
        journal.setCurrentTerm(journal.getCurrentTerm() + amount, NodeId("abc"[amount - 1]))
    elif action == "compact" and (term := journal.term_at(journal.base_index + amount)) is not None:
        journal.compact(Base(journal.base_index + amount, term, VOTERS))
    elif action == "sync":
        journal.sync()


@given(ACTIONS)
def test_what_was_synced_is_read_again(actions: list[tuple[str, int]]) -> None:
    disk = Disk(random.Random(0))
    journal = Journal(disk, START)
    for action in actions:
        act(journal, *action)
    journal.sync()
    again = Journal(disk, START)
    assert state(again) == state(journal)
    assert again.size == journal.size == sum(len(command) for command, _, _ in state(journal)[0])
    assert again.durable_index == again.last_index


@given(ACTIONS, st.integers(0, 40), st.integers(0, 1 << 16), st.booleans())
@settings(max_examples=200)
def test_a_power_cut_leaves_what_was_synced_or_what_was_being_written(
    actions: list[tuple[str, int]], calls: int, seed: int, kernel_survives: bool
) -> None:
    disk = Disk(random.Random(seed))
    journal = Journal(disk, START)
    disk.cuts = calls
    safe, risked = state(journal), state(journal)
    try:
        for action in actions:
            before = state(journal)
            act(journal, *action)
            risked = state(journal)
            if not journal.dirty:
                safe = risked
            else:
                assert action[0] != "sync" and before is not None
    except PowerLost:
        risked = state(journal)
    disk.power_cut(kernel_survives)
    journal = Journal(disk, START)
    assert state(journal) in (safe, risked)
    act(journal, "add", 2)
    journal.sync()
    assert state(Journal(disk, START)) == state(journal)


def frames(count: int) -> tuple[Disk, list[int]]:
    """A log of so many synced frames of one entry each, and where each ends."""
    disk = Disk(random.Random(0))
    journal = Journal(disk, START)
    ends = [len(disk.read(NAME) or b"")]
    for _ in range(count):
        act(journal, "add", 1)
        journal.sync()
        ends.append(len(disk.read(NAME) or b""))
    return disk, ends


@given(st.integers(1, 6), st.data())
def test_a_torn_tail_is_dropped_up_to_the_last_whole_frame(count: int, data: st.DataObject) -> None:
    disk, ends = frames(count)
    end = data.draw(st.integers(ends[0], ends[-1]))
    disk.truncate(NAME, end)
    whole = sum(stop <= end for stop in ends) - 1
    assert Journal(disk, START).last_index == whole
    assert len(disk.read(NAME) or b"") == ends[whole]


@given(st.integers(1, 6), st.data())
@settings(max_examples=200)
def test_a_flipped_bit_never_changes_an_entry(count: int, data: st.DataObject) -> None:
    """In the last frame it looks as a torn write does; anywhere else it is damage, and said to be."""
    disk, ends = frames(count)
    original = Journal(disk, START).between(1, count)
    content = bytearray(disk.read(NAME) or b"")
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    disk.replace(NAME, bytes(content))
    if bit // 8 >= ends[-2]:
        assert Journal(disk, START).between(1, count) == original[:-1]
    else:
        with pytest.raises(Corrupt):
            Journal(disk, START)


@given(st.binary(max_size=300))
def test_garbage_is_no_log(garbage: bytes) -> None:
    disk = Disk(random.Random(0))
    disk.replace(NAME, garbage)
    with pytest.raises(Corrupt):
        Journal(disk, START)


def test_entries_come_one_after_another() -> None:
    journal = Journal(Disk(random.Random(0)), START)
    with pytest.raises(StorageError, match="cannot follow"):
        journal.add(b"\x04", 2, 1)


def test_a_snapshot_keeps_what_follows_the_very_entry_and_nothing_else() -> None:
    disk, _ = frames(6)
    journal = Journal(disk, START)
    journal.install(Base(4, 0, VOTERS))
    assert (journal.base_index, journal.last_index) == (4, 6)
    journal.install(Base(5, 9, VOTERS))
    assert (journal.base_index, journal.last_index, journal.last_term) == (5, 5, 9)
    assert state(Journal(disk, START)) == state(journal)


def test_a_log_is_not_cut_at_an_entry_that_it_does_not_hold() -> None:
    journal = Journal(frames(3)[0], START)
    for base in (Base(4, 0, VOTERS), Base(2, 7, VOTERS)):
        with pytest.raises(StorageError, match="holds no entry"):
            journal.compact(base)


def test_real_files_are_read_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "raft")
    journal = Journal(folder, START)
    for action in (("add", 3), ("term", 1), ("add", 5), ("sync", 0), ("compact", 2), ("cut", 1), ("sync", 0)):
        act(journal, *action)
    folder.close()
    again = Journal(Folder(tmp_path / "raft"), START)
    assert state(again) == state(journal)
    assert [path.name for path in (tmp_path / "raft").iterdir()] == [NAME]


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    journal = Journal(folder, START)
    act(journal, "add", 1)
    journal.sync()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, folder._descriptor(NAME))
    os.close(full)
    act(journal, "add", 1)
    with pytest.raises(DiskFull, match="journal"):
        journal.sync()
    folder.close()
    assert Journal(Folder(tmp_path), START).last_index == 1

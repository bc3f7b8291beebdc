from __future__ import annotations

from dataclasses import replace

from hiveminddb.daemon.tails import Tails
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.vault_state import VaultFile
from hiveminddb.vault.files import digest_of

FILE = "# t\n\n## 2026-01-01 10:00:00 UTC\n\none\n\n"
NEW = "## 2026-01-02 10:00:00 UTC\n\ntwo\n\n"
ROW = MemoryRow("id", "t", "a1V", "entry", NEW, 0, len(NEW), 0, 0, b"", slot=2, version=1)


def known(n: int) -> VaultFile:
    return VaultFile("t", n, len(FILE), 0, 0, 0, digest_of(FILE))


def begun() -> Tails:
    tails = Tails()
    assert tails.begin("t", 5, FILE, "a0V") == digest_of(FILE)
    return tails


def test_a_file_lacks_what_was_added_at_its_end() -> None:
    tails = begun()
    tails.committed([ROW, replace(ROW, id="other", position="a2V", text=NEW * 2)], [6, 7], [])
    addition = tails.lacking(known(5))
    assert addition and (addition.n, addition.text) == (7, NEW * 3)
    assert addition.digest == digest_of(FILE + NEW * 3)
    assert tails.lacking(known(7)) is None


def test_what_the_file_has_already_is_not_added_again() -> None:
    tails = begun()
    tails.committed([ROW], [5], [])
    assert tails.lacking(known(5)) is None


def test_a_file_that_is_not_as_followed_is_looked_at_whole() -> None:
    tails = begun()
    tails.committed([ROW], [6], [])
    assert tails.lacking(known(4)) is None


def test_anything_but_an_entry_at_the_end_needs_a_whole_look() -> None:
    others = [
        replace(ROW, version=2),
        replace(ROW, role="head"),
        replace(ROW, position="Zz1"),
        replace(ROW, invalidated_at=1),
        replace(ROW, text="no line feed at its end"),
    ]
    for row in others:
        tails = begun()
        tails.committed([row, replace(ROW, id="later", position="a9V")], [6, 7], [])
        assert tails.lacking(known(5)) is None, row


def test_an_entry_that_left_the_file_needs_a_whole_look() -> None:
    tails = begun()
    tails.committed([ROW], [6], ["t"])
    assert tails.lacking(known(5)) is None


def test_a_file_without_a_last_line_feed_is_not_appended_to() -> None:
    tails = Tails()
    tails.begin("t", 5, "no line feed", "a0V")
    tails.committed([ROW], [6], [])
    assert tails.lacking(known(5)) is None

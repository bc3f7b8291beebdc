from __future__ import annotations

from pathlib import Path

from hiveminddb.store import schema
from hiveminddb.store.check import check


def test_an_index_that_was_merged_since_this_reader_last_searched_is_not_taken_for_damage(tmp_path: Path) -> None:
    writer = schema.open_writer(tmp_path / "x.db")
    schema.migrate(writer)
    reader = schema.open_reader(tmp_path / "x.db")
    for first in (1, 1001, 2001):
        for number in range(first, first + 100):
            writer.execute("INSERT INTO entries (rowid, content) VALUES (?, 'hello')", (number,))
        reader.execute("SELECT count(*) FROM entries('hello')").fetchall()
    for number in range(5000, 5100):
        writer.execute("INSERT INTO entries (rowid, content) VALUES (?, 'hello')", (number,))
    writer.execute("INSERT INTO entries (entries) VALUES ('optimize')")
    assert next(finding for finding in check(reader) if finding.check == "pages").ok
    reader.close()
    writer.close()

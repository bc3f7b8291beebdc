from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from hiveminddb.store import schema


def test_an_empty_file_is_brought_to_the_schema_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()
    schema.refuse_foreign(path)
    connection = schema.open_writer(path)
    assert schema.migrate(connection) == schema.LATEST
    assert schema.migrate(connection) == 0
    assert connection.pragma("user_version") == schema.LATEST
    assert connection.pragma("application_id") == schema.APPLICATION_ID
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables >= {
        "meta",
        "changes",
        "documents",
        "memories",
        "memory_tags",
        "past",
        "entries",
        "entries_terms",
        "vectors",
        "to_embed",
        "to_mirror",
        "vault_files",
        "vault_bases",
    }
    connection.close()
    schema.refuse_foreign(path)


def test_the_writer_keeps_a_log_and_waits_for_the_disk(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path / "x.db")
    assert (connection.pragma("journal_mode"), connection.pragma("synchronous")) == ("wal", 2)
    connection.close()


def test_a_step_that_fails_leaves_the_file_at_the_step_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = schema.open_writer(tmp_path / "x.db")
    schema.migrate(connection)
    (tmp_path / "002_broken.sql").write_text("CREATE TABLE half (a); CREATE TABLE memories (a);")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "002_broken.sql"))
    monkeypatch.setattr(schema, "files", lambda package: tmp_path)
    with pytest.raises(apsw.SQLError, match="already exists"):
        schema.migrate(connection)
    assert connection.pragma("user_version") == 1
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").get == 0
    connection.close()


def test_no_statement_is_planned_anew_for_the_values_bound_to_it(tmp_path: Path) -> None:
    for opened in (schema.open_writer, schema.open_reader):
        connection = opened(tmp_path / "x.db")
        assert connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1
        connection.close()

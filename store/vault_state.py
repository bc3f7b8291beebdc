"""What the mirror knows of the vault's files: when each last agreed with the documents, and its recent texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import apsw

By = Literal["mirror", "disk", "late"]

_WORD = 1 << 64
_FILE = "topic, n, size, mtime_ns, ctime_ns, inode, digest"


@dataclass(frozen=True, slots=True)
class VaultFile:
    """A file as it was when it agreed with its documents as of the change `n`."""

    topic: str
    n: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str


@dataclass(frozen=True, slots=True)
class VaultBase:
    """A recent text of a file, who made it (the mirror or a person), and when: after the change `n` in the log.

    One that is "late" was written into a file that had been replaced already.

    It is what the changes up to `upto` and the `extra` ones make: a person who saved a stale text had not seen what
    came between. `names` are the topics that the file has been since then; its memories stood in the first.
    """

    topic: str
    n: int
    upto: int
    by: By
    digest: str
    extra: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.topic not in self.names:
            object.__setattr__(self, "names", (*self.names, self.topic))


def meta(connection: apsw.Connection, key: str) -> str:
    """A small fact kept under a name, empty where there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def vault_file(connection: apsw.Connection, topic: str) -> VaultFile | None:
    """What is known of a file, None for an unknown one."""
    row = connection.execute(f"SELECT {_FILE} FROM vault_files WHERE topic = ?", (topic,)).fetchone()
    return _file(row) if row else None


def vault_files(connection: apsw.Connection) -> list[VaultFile]:
    """What is known of every file, by topic."""
    return [_file(row) for row in connection.execute(f"SELECT {_FILE} FROM vault_files ORDER BY topic")]


def files_of(connection: apsw.Connection, inodes: Iterable[int]) -> list[VaultFile]:
    """What is known of the files that had these inode numbers when they were last seen."""
    numbers = json.dumps([_signed(inode) for inode in inodes])
    query = f"SELECT {_FILE} FROM vault_files WHERE inode IN (SELECT value FROM json_each(?)) ORDER BY topic"
    return [_file(row) for row in connection.execute(query, (numbers,))]


def vault_bases(connection: apsw.Connection, topic: str) -> list[VaultBase]:
    """The recent texts of a file, newest first."""
    rows = connection.execute(
        "SELECT n, upto, by, digest, extra, names FROM vault_bases WHERE topic = ? ORDER BY n DESC, by DESC",
        (topic,),
    )
    return [
        VaultBase(topic, n, upto, by, digest, tuple(json.loads(extra)), tuple(json.loads(names)))
        for n, upto, by, digest, extra, names in rows
    ]


def removals(connection: apsw.Connection, digest: str) -> list[str]:
    """Topics whose file the mirror began to remove, remembered as a base of that digest, and has not recorded."""
    rows = connection.execute(
        "SELECT f.topic FROM vault_files f JOIN vault_bases b ON b.topic = f.topic AND b.n > f.n"
        " WHERE b.by = 'mirror' AND b.digest = ?"
        " AND b.n = (SELECT max(n) FROM vault_bases WHERE topic = f.topic)",
        (digest,),
    )
    return [topic for (topic,) in rows]


def makings(connection: apsw.Connection, digest: str) -> list[str]:
    """Topics whose file the mirror began to make and has not recorded; of that digest is what is to be removed."""
    rows = connection.execute(
        "SELECT m.topic FROM to_mirror m JOIN vault_bases b ON b.topic = m.topic"
        " WHERE b.by = 'mirror' AND b.digest <> ? AND b.n = (SELECT max(n) FROM vault_bases WHERE topic = m.topic)"
        " AND NOT EXISTS (SELECT 1 FROM vault_files WHERE topic = m.topic)",
        (digest,),
    )
    return [topic for (topic,) in rows]


def count_files(connection: apsw.Connection) -> int:
    """How many files agree with their documents, or did when last looked at."""
    return int(connection.execute("SELECT count(*) FROM vault_files").get)


def put_vault_file(connection: apsw.Connection, file: VaultFile) -> None:
    """Remembers what a file is now, in place of what it was."""
    connection.execute(
        f"INSERT OR REPLACE INTO vault_files ({_FILE}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (file.topic, file.n, file.size, file.mtime_ns, file.ctime_ns, _signed(file.inode), file.digest),
    )


def drop_vault_file(connection: apsw.Connection, topic: str) -> None:
    """Forgets a file that is gone; its recent texts are kept until they are pruned."""
    connection.execute("DELETE FROM vault_files WHERE topic = ?", (topic,))


def topics_that_said(connection: apsw.Connection, digest: str) -> list[str]:
    """Topics whose file had a text with this digest, the latest first."""
    query = "SELECT topic FROM vault_bases WHERE digest = ? GROUP BY topic ORDER BY max(n) DESC"
    return [topic for (topic,) in connection.execute(query, (digest,))]


def put_vault_base(connection: apsw.Connection, base: VaultBase, keep: int) -> None:
    """Remembers a recent text of a file, and forgets all but the newest `keep`."""
    connection.execute(
        "INSERT OR REPLACE INTO vault_bases (topic, n, upto, names, extra, by, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (base.topic, base.n, base.upto, json.dumps(base.names), json.dumps(base.extra), base.by, base.digest),
    )
    connection.execute(
        "DELETE FROM vault_bases WHERE topic = ?1 AND n <="
        " (SELECT n FROM vault_bases WHERE topic = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
        (base.topic, keep),
    )


def drop_vault_base(connection: apsw.Connection, base: VaultBase) -> None:
    """Forgets a text that never came to be in the file."""
    connection.execute("DELETE FROM vault_bases WHERE topic = ? AND n = ? AND by = ?", (base.topic, base.n, base.by))


def _file(row: tuple[str, int, int, int, int, int, str]) -> VaultFile:
    topic, n, size, mtime_ns, ctime_ns, inode, digest = row
    return VaultFile(topic, n, size, mtime_ns, ctime_ns, inode % _WORD, digest)


def _signed(inode: int) -> int:
    """Inode numbers take all 64 bits on some file systems, SQLite's integers have a sign."""
    return inode - _WORD if inode >= _WORD // 2 else inode

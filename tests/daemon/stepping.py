"""Commands of all kinds over few keys, and steps taken straight on a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import (
    AddMember,
    Changes,
    ClaimName,
    Command,
    Expire,
    Grant,
    Order,
    Release,
    ReleaseName,
    RemoveMember,
    RenameMember,
    Renew,
    SetRegister,
)
from hiveminddb.daemon.swarm.deciding import Deciding, Result
from hiveminddb.model import Change, DocumentId, NodeId
from hiveminddb.store import schema
from hiveminddb.store.database import Connection
from hiveminddb.store.transaction import Transaction
from hiveminddb.sync.antientropy import sent
from tests.store.making import share

NODES = tuple(letter * 20 for letter in "abc")

_ids = st.integers(0, 40).map(lambda n: n.to_bytes(16))
_keys = st.sampled_from(("deploy", "db", "ключ"))
_nodes = st.sampled_from(NODES)
_tokens = st.integers(0, 8)


def change(origin: str, counter: int, update: bytes = b"update", reason: str = "") -> Change:
    return Change(NodeId(origin), counter, DocumentId("doc"), "memory", "add", "me", reason, counter, update)


def _changes(id: bytes, origin: str, first: int, count: int) -> Changes:
    return Changes(id, [sent(change(origin, first + i)) for i in range(count)])


any_ordering: st.SearchStrategy[Command] = st.one_of(
    st.builds(_changes, _ids, _nodes, st.integers(1, 6), st.integers(1, 4)),
    st.builds(Order, _ids, _nodes, st.integers(1, 6), st.integers(1, 4)),
)

any_command: st.SearchStrategy[Command] = st.one_of(
    any_ordering,
    st.builds(Grant, _ids, _keys, _keys, st.sampled_from((100, 5000))),
    st.builds(Renew, _ids, _keys, _tokens),
    st.builds(Release, _ids, _keys, _tokens),
    st.builds(Expire, _ids, _keys, _tokens, st.integers(0, 60)),
    st.builds(SetRegister, _ids, _keys, _keys, st.none() | st.integers(0, 3), st.none() | _keys),
    st.builds(ClaimName, _ids, _keys, _keys),
    st.builds(ReleaseName, _ids, _keys, _keys),
    st.builds(
        AddMember, _ids, _nodes, st.sampled_from((b"k" * 32, b"K" * 32)), _keys, st.sampled_from(("voter", "learner"))
    ),
    st.builds(RemoveMember, _ids, _nodes),
    st.builds(RenameMember, _ids, _nodes, _keys),
)


@contextmanager
def node() -> Iterator[Transaction]:
    """A database of its own, in one transaction that never ends; its order is decided by several."""
    with TemporaryDirectory() as folder:
        connection = schema.open_writer(Path(folder) / "x.db")
        schema.migrate(connection)
        connection.execute("BEGIN")
        tx = Transaction(connection)
        share(tx)
        yield tx
        connection.close()


def absorb(tx: Transaction, changes: Sequence[Change]) -> None:
    """Appends what is not known yet."""
    for one in changes:
        tx.append_change(one)


def take(tx: Transaction, steps: Iterable[tuple[int, Command | None]]) -> list[Result]:
    """The results of these steps, each through its bytes as it travels."""
    deciding = Deciding(tx, absorb)
    results = [
        deciding.apply(step, 1, None if command is None else commands.decode(commands.encode(command)))
        for step, command in steps
    ]
    deciding.finish()
    return results


def counters(connection: Connection) -> list[tuple[str, int]]:
    return list(connection.execute("SELECT origin, counter FROM changes ORDER BY n"))

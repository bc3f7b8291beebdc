"""Which swarm this node stands in, and from what its consensus began: one fact, changed in one transaction.

The log of consensus lies in a folder named after the standing. Whoever joins, leaves or recovers a swarm gets a new
standing together with the state that goes with it; a crash in between leaves the old one whole or the new one.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import msgspec

from hiveminddb.errors import Corrupt
from hiveminddb.model import NodeId
from hiveminddb.store.database import Connection
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import meta

_KEY, _ORIGIN = "swarm.standing", "swarm.origin"
_ID_BYTES = 10
_EPOCH = re.compile(r"[0-9]{8}-[0-9a-f]{20}")


class Standing(msgspec.Struct, frozen=True):
    """`swarm` is the swarm's id, `epoch` that of this consensus of it; voters and the step it began with.

    Of two epochs of one swarm the greater was formed later; it begins with a number that counts up. A node that is
    `barred` does not know what it voted: it takes no part in this consensus until the others have let it go.
    """

    swarm: str
    epoch: str
    voters: tuple[NodeId, ...]
    index: int = 0
    term: int = 0
    barred: bool = False

    def folder(self, data_dir: Path) -> Path:
        """Where the log of this consensus lies."""
        return data_dir / "raft" / f"{self.epoch}-{self.index}{'-barred' if self.barred else ''}"


def alone(me: NodeId, index: int = 0, term: int = 0) -> Standing:
    """A new swarm of one, that goes on from a step of the machine."""
    return Standing(secrets.token_hex(_ID_BYTES), _epoch(1), (me,), index, term)


def learning(swarm: str, epoch: str, index: int, term: int, barred: bool = False) -> Standing:
    """A place in a swarm that others decide for, until they make this node a voter; its state is of that step."""
    return Standing(swarm, epoch, (), index, term, barred)


def later(standing: Standing, me: NodeId, index: int, term: int) -> Standing:
    """The same swarm with a consensus formed anew by this node alone."""
    number = int(standing.epoch.partition("-")[0]) + 1
    return Standing(standing.swarm, _epoch(number), (me,), index, term)


def is_epoch(text: str) -> bool:
    """Whether it can be an epoch's name, and so a folder's."""
    return _EPOCH.fullmatch(text) is not None


def _epoch(number: int) -> str:
    return f"{number:08d}-{secrets.token_hex(_ID_BYTES)}"


def standing_of(connection: Connection) -> Standing | None:
    """The present one; None before the first start has made one."""
    value = meta(connection, _KEY)
    try:
        return msgspec.json.decode(value, type=Standing) if value else None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"unreadable standing in the swarm: {error}", "restore the data folder from a backup") from error


def epoch_of(connection: Connection) -> str:
    """That of the consensus this node takes part in; empty before the first start."""
    standing = standing_of(connection)
    return standing.epoch if standing else ""


def is_older_copy(connection: Connection, origin: NodeId) -> bool:
    """Whether this node has begun another origin since it took part: its log may lack what it has acknowledged."""
    return (meta(connection, _ORIGIN) or origin) != origin


def put_origin(tx: Transaction, origin: NodeId) -> None:
    """Under which this node takes part from now on."""
    tx.set_meta(_ORIGIN, origin)


def put_standing(tx: Transaction, standing: Standing) -> None:
    """Makes it the present one."""
    tx.set_meta(_KEY, msgspec.json.encode(standing).decode())

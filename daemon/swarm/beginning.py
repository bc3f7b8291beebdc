"""The standing that a start begins with: the former one, that of a new swarm of one, or one without the former log.

A node with a key that its own directory does not know is a new machine with the memories of another.

A node of several that has lost its log, or has become an older copy of itself, is barred: it has forgotten what it
acknowledged and whom it voted for (`regaining.py`). A node that decides alone forms its consensus anew.
"""

from __future__ import annotations

import logging

from hiveminddb.daemon.swarm.machine import leap
from hiveminddb.daemon.swarm.standing import (
    Standing,
    alone,
    is_older_copy,
    later,
    learning,
    put_origin,
    put_standing,
    standing_of,
)
from hiveminddb.errors import Corrupt
from hiveminddb.model import NodeId
from hiveminddb.store import directory
from hiveminddb.store.directory import NodeRow
from hiveminddb.store.machine import progress
from hiveminddb.store.transaction import Transaction

log = logging.getLogger(__name__)


def begin(tx: Transaction, me: NodeRow, origin: NodeId) -> Standing:
    """The standing of this start; `origin` is that under which this node makes its changes now."""
    standing = standing_of(tx.connection)
    if standing is None:
        standing = alone(me.id)
        put_standing(tx, standing)
    if directory.node(tx.connection, me.id) is None:
        standing = _of_its_own(tx, me, standing)
    if is_older_copy(tx.connection, origin) and _has_others(tx):
        standing = _barred(tx, standing)
    put_origin(tx, origin)
    return standing


def _of_its_own(tx: Transaction, me: NodeRow, standing: Standing) -> Standing:
    """A swarm of one, for a node that none knows: this start is its first, its key is new, or it was put out."""
    directory.replace_nodes(tx.connection, [me])
    if standing.voters == (me.id,):
        return standing
    take_over(tx)
    at = progress(tx.connection)
    standing = alone(me.id, at.step, at.term)
    put_standing(tx, standing)
    log.warning("this node is of no swarm that it knows: it is a swarm of one node=%s swarm=%s", me.id, standing.swarm)
    return standing


def begin_without_log(tx: Transaction, me: NodeId) -> Standing:
    """The standing of a node whose log cannot be read. Raises Corrupt where it has none at all."""
    standing = standing_of(tx.connection)
    if standing is None:
        raise Corrupt("no standing in any swarm", "restore the data folder from a backup")
    if _has_others(tx):
        return _barred(tx, standing)
    leap(tx)
    take_over(tx)
    at = progress(tx.connection)
    standing = later(standing, me, at.step, at.term)
    put_standing(tx, standing)
    log.warning("consensus formed anew epoch=%s", standing.epoch)
    return standing


def take_over(tx: Transaction) -> None:
    """This node alone decides from here on; positions that it has never learned of are given anew."""
    if tx.order.known < tx.order.seq:
        tx.order.leave()
    tx.decide_alone()


def _barred(tx: Transaction, standing: Standing) -> Standing:
    at = progress(tx.connection)
    barred = learning(standing.swarm, standing.epoch, at.step, at.term, barred=True)
    tx.cede()
    put_standing(tx, barred)
    log.warning("this node does not know what it voted: it does not vote until the others have let it go")
    return barred


def _has_others(tx: Transaction) -> bool:
    return len(directory.nodes(tx.connection)) > 1

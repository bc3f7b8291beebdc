"""Under which origin this node makes its changes: its own id, until its database may be an older copy of itself.

An origin gives no counter twice: peers pass over what they have. A database brought back from a backup does not know
which counters were given since, so it begins a new origin before it writes anything.
"""

from __future__ import annotations

import base64
import logging
import secrets

from hiveminddb.model import NodeId
from hiveminddb.store.transaction import Transaction
from hiveminddb.store.vault_state import meta

log = logging.getLogger(__name__)

ORIGIN, FILE, NODE = "origin", "origin.file", "origin.node"
_ID_BYTES = 12
_ID_CHARACTERS = 20


def begin(tx: Transaction, node: NodeId, file: str) -> NodeId:
    """The origin to go on with, before anything is written; `file` tells the database's file from a copy of it."""
    former, origin = meta(tx.connection, FILE), NodeId(meta(tx.connection, ORIGIN) or node)
    maker = meta(tx.connection, NODE) or node
    if file != former:
        tx.set_meta(FILE, file)
    tx.set_meta(NODE, node)
    if maker != node:
        log.info("node has another key, a new origin begins former=%s", maker)
        return renew(tx)
    if former and file and file != former:
        log.info("database is a copy, a new origin begins former=%s", origin)
        return renew(tx)
    return origin


def renew(tx: Transaction) -> NodeId:
    """A new origin, shaped as the id of a node, and kept for the next start."""
    origin = NodeId(base64.b32encode(secrets.token_bytes(_ID_BYTES + 1)).decode().lower()[:_ID_CHARACTERS])
    tx.set_meta(ORIGIN, origin)
    return origin

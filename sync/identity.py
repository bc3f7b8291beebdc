"""Who this node is: an Ed25519 key made at first start; the node id is the fingerprint of its public half."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hiveminddb.errors import Corrupt
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.storage import sync_folder

_KEY_BYTES = 32
_ID_CHARACTERS = 20


def load_or_create(path: Path) -> Ed25519PrivateKey:
    """The node's key from `path` (raw 32 bytes, mode 0600); made and synced to disk where there is none.

    Raises Corrupt where the file is not a key: a new one would make this node a stranger to its own changes.
    """
    if not path.exists():
        _write(path, Ed25519PrivateKey.generate().private_bytes_raw())
    raw = path.read_bytes()
    if len(raw) != _KEY_BYTES:
        raise Corrupt(f"node key {path} has {len(raw)} bytes instead of {_KEY_BYTES}", "restore it from a backup")
    return Ed25519PrivateKey.from_private_bytes(raw)


def node_id(key: Ed25519PrivateKey) -> NodeId:
    """Who the owner of this key is."""
    return fingerprint(key.public_key().public_bytes_raw())


def fingerprint(public: bytes) -> NodeId:
    """The first 20 characters of the base-32 SHA-256 of the raw public key, lower case."""
    digest = hashlib.sha256(public).digest()
    return NodeId(base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS])


def _write(path: Path, raw: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, raw)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_folder(path.parent)

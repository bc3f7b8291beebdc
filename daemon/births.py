"""Ids for new documents: random, or one that follows from the content where another node may make the same one."""

from __future__ import annotations

import itertools
import os

from hiveminddb.daemon.entries import NewEntry
from hiveminddb.daemon.projection import HEAD
from hiveminddb.model import DocumentId
from hiveminddb.store import history
from hiveminddb.store.database import Connection
from hiveminddb.sync import document
from hiveminddb.sync.document import Birth
from hiveminddb.sync.encoding import new_client

_POSITION = "position"
_EVER = 1 << 62


# Every two characters of base 32, by the ten bits that they stand for.
_PAIRS = tuple(a + b for a, b in itertools.product("abcdefghijklmnopqrstuvwxyz234567", repeat=2))
_PAIR_BITS = 10
_SHIFTS = range(0, document.ID_CHARACTERS // 2 * _PAIR_BITS, _PAIR_BITS)


def new_id() -> DocumentId:
    """A random id: 100 bits in lower-case base 32."""
    bits = int.from_bytes(os.urandom(13))
    return DocumentId("".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS]))


class Births:
    """The documents that one operation makes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = new_client()
        self._made: set[str] = set()

    def of(self, entry: NewEntry) -> tuple[DocumentId, bytes]:
        """The id of a new document and the update that makes it."""
        if birth := self.derived(entry):
            known = history.known_before(self._connection, [birth.id], _EVER)
            if birth.id not in known | self._made:
                self._made.add(birth.id)
                return DocumentId(birth.id), birth.update
        return new_id(), document.create(entry.text, entry.fields)

    def derived(self, entry: NewEntry) -> Birth | None:
        """The document that every node makes of that content, wherever in the file it stands; None where none would."""
        if entry.equals is None:
            return None
        fields, place = dict(entry.fields), {}
        if fields.get("role") != HEAD:
            place = {_POSITION: fields.pop(_POSITION)}
        return document.derive(entry.text, fields, place, entry.equals, self._client)

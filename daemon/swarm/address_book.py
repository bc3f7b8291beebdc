"""Where members were last reached: kept over a restart, for networks on which nobody announces themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hiveminddb.model import NodeId
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.vault_state import meta
from hiveminddb.sync.address import Address

_KEY = "swarm.addresses"
# A laptop is at home, at work, and in a few other places.
MOST_PLACES = 4


class AddressBook:
    """The latest places of each node first; hints, nothing more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[NodeId, list[tuple[str, int]]] = {}

    async def load(self) -> Mapping[NodeId, Sequence[Address]]:
        """All that is known."""
        self._known = await self._database.read(_read)
        return {node: [Address(*place) for place in places] for node, places in self._known.items()}

    async def note(self, node: NodeId, address: Address, members: frozenset[NodeId]) -> None:
        """A node was reached; who is no member is forgotten."""
        place, before = (address.host, address.port), self._known.get(node, [])
        if before[:1] == [place]:
            return
        self._known[node] = [place, *(one for one in before if one != place)][:MOST_PLACES]
        self._known = {one: places for one, places in self._known.items() if one in members}
        value = msgspec.json.encode(self._known).decode()
        await self._database.write(lambda tx: tx.set_meta(_KEY, value))


def _read(connection: Connection) -> dict[NodeId, list[tuple[str, int]]]:
    try:
        return msgspec.json.decode(meta(connection, _KEY) or "{}", type=dict[NodeId, list[tuple[str, int]]])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}

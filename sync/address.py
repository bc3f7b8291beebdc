"""Where a node may be reached. Nodes move: an address is a hint, never who somebody is."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """A host (name, IPv4, or IPv6, also with a zone) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

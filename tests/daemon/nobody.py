"""Stands for all other nodes where there are none."""

from __future__ import annotations

from collections.abc import Mapping

from hiveminddb.daemon.swarm.standing import Standing
from hiveminddb.model import NodeId
from hiveminddb.sync.antientropy import Vector


class Nobody:
    """No lines, and nobody seen on them."""

    def connected(self) -> frozenset[NodeId]:
        return frozenset()

    def send(self, peer: NodeId, payload: bytes) -> bool:
        return False

    def vectors(self) -> Mapping[NodeId, Vector]:
        return {}

    def away_for(self, node: NodeId) -> float:
        return 0.0


async def without_log() -> Standing:
    raise NotImplementedError

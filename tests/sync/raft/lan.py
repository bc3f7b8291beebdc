"""Consensus in one event loop: machines in memory that keep what is durable, and links that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.consensus import Consensus
from hiveminddb.sync.raft.replica import Committed


class ListMachine:
    """Its state is the list of all commands; all of it is durable at once, and survives its Consensus."""

    def __init__(self) -> None:
        self.applied = 0
        self.commands: list[bytes] = []
        self.installs = 0

    def deliver(self, entries: Sequence[Committed]) -> None:
        for entry in entries:
            assert entry.index == self.applied + 1
            self.applied = entry.index
            if entry.command:
                self.commands.append(entry.command)

    async def snapshot(self) -> tuple[int, bytes]:
        return self.applied, msgspec.msgpack.encode(self.commands)

    async def install(self, index: int, term: int, state: bytes) -> None:
        await asyncio.sleep(0)
        self.installs += 1
        self.applied, self.commands = index, msgspec.msgpack.decode(state, type=list[bytes])


class Lan:
    """Nodes by name; a message arrives in the next turn of the loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[NodeId, Consensus] = {}
        self.machines: dict[NodeId, ListMachine] = {}
        self._cut: set[frozenset[NodeId]] = set()

    async def start(self, name: str, voters: str, epoch: str = "") -> Consensus:
        node = NodeId(name)
        machine = self.machines.setdefault(node, ListMachine())
        first = frozenset(map(NodeId, voters))
        consensus = Consensus(node, self.folder / name, first, machine, Plug(self, node), epoch=epoch)
        await consensus.__aenter__()
        self.nodes[node] = consensus
        for peer in self.connected(node):
            self.nodes[peer].peer_up(node)
            consensus.peer_up(peer)
        return consensus

    async def stop(self, name: str) -> None:
        node = NodeId(name)
        peers = self.connected(node)
        await self.nodes.pop(node).__aexit__(None, None, None)
        for peer in peers:
            self.nodes[peer].peer_down(node)

    async def stop_all(self) -> None:
        for node in list(self.nodes):
            await self.stop(node)

    def cut(self, name: str, other: str) -> None:
        node, peer = NodeId(name), NodeId(other)
        self._cut.add(frozenset((node, peer)))
        self.nodes[node].peer_down(peer)
        self.nodes[peer].peer_down(node)

    def mend(self) -> None:
        for node, peer in map(tuple, self._cut):
            self._cut = self._cut - {frozenset((node, peer))}
            self.nodes[node].peer_up(peer)
            self.nodes[peer].peer_up(node)

    def connected(self, node: NodeId) -> frozenset[NodeId]:
        return frozenset(peer for peer in self.nodes if peer != node and frozenset((node, peer)) not in self._cut)

    def carry(self, source: NodeId, target: NodeId, payload: bytes) -> None:
        if target in self.connected(source) and source in self.nodes:
            self.nodes[target].received(source, payload)

    async def leader(self, among: str = "") -> NodeId:
        """The running leader that all of `among` (or all) agree on."""
        names = [NodeId(name) for name in among or self.nodes]

        def agreed() -> bool:
            views = [self.nodes[name].view for name in names]
            leaders = {view.leader for view in views}
            return len(leaders) == 1 and leaders <= set(self.nodes) and all(view.has_quorum for view in views)

        await until(agreed)
        leader = self.nodes[names[0]].view.leader
        assert leader is not None
        return leader

    async def same(self, commands: Sequence[bytes]) -> None:
        """Waits until all machines hold exactly these."""
        await until(lambda: all(self.machines[node].commands == list(commands) for node in self.nodes))


class Plug:
    def __init__(self, lan: Lan, node: NodeId) -> None:
        self._lan, self._node = lan, node

    def send(self, peer: NodeId, payload: bytes) -> bool:
        if peer not in self._lan.connected(self._node):
            return False
        asyncio.get_running_loop().call_soon(self._lan.carry, self._node, peer, payload)
        return True

    def connected(self) -> frozenset[NodeId]:
        return self._lan.connected(self._node)


async def until(condition: Callable[[], object]) -> None:
    """AssertionError where it does not come true; the time is generous: it only ends a hang."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 30
    while not condition():
        assert loop.time() < end, f"still not true: {condition}"
        await asyncio.sleep(0.005)

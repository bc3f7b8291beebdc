"""The consensus of the swarm this node stands in now; formed anew where that changes.

Everybody else holds on to the council and never to a consensus, which ends with its standing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hiveminddb.daemon.swarm.machine import Machine
from hiveminddb.daemon.swarm.standing import Standing
from hiveminddb.errors import Corrupt, NoQuorum, StorageError
from hiveminddb.model import NodeId
from hiveminddb.sync.raft.consensus import Consensus, View, Wire

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """Between two consensus: the standing to go on with, and the voters and the last entry of the log that ended."""

    standing: Standing
    voters: frozenset[NodeId]
    last: int


class Council:
    """Open inside `async with`; `on_view` is called on every change of what consensus sees."""

    def __init__(
        self,
        me: NodeId,
        data_dir: Path,
        standing: Standing,
        machine: Machine,
        wire: Wire,
        without_log: Callable[[], Awaitable[Standing]],
    ) -> None:
        """`without_log` gives the standing to go on with where the log cannot be read."""
        self._without_log = without_log
        self._me, self._data_dir, self._machine, self._wire = me, data_dir, machine, wire
        self.standing = standing
        self.voters_told: frozenset[NodeId] = frozenset()
        self.on_view: list[Callable[[View], None]] = []
        self._open: AsyncExitStack = AsyncExitStack()
        self._consensus: Consensus | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        try:
            await self._form(self.standing)
        except Corrupt as error:
            log.error("the log of consensus cannot be read, another begins reason=%s", error.message)
            await self._form(await self._without_log())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._dissolve()

    async def failed(self) -> None:
        """Never returns; raises what consensus cannot go on with, as the daemon then cannot."""
        await asyncio.shield(self._failed)

    @property
    def view(self) -> View | None:
        """What consensus sees, None while it is being formed anew."""
        return self._consensus.view if self._consensus else None

    @property
    def leads(self) -> bool:
        """Whether this node is the leader, as far as it knows."""
        return self.view is not None and self.view.role == "leader"

    @property
    def has_quorum(self) -> bool:
        """Whether a decision can be made now, as far as this node knows."""
        return self.view is not None and self.view.has_quorum

    @property
    def voters(self) -> frozenset[NodeId]:
        """Who decides."""
        return self.view.voters if self.view else frozenset()

    @property
    def voters_known(self) -> frozenset[NodeId]:
        """Who decides, or will, or did until a change is settled; as others told it, where this node does not vote."""
        if self.view is None or self._me not in self.view.voters:
            return self.voters_told
        return self.view.voters | self.view.settled

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Turn]:
        """Inside, no consensus runs; it is formed anew in the end, by the standing that the turn then has."""
        turn = Turn(self.standing, self.voters, self._consensus.last if self._consensus else 0)
        await self._dissolve()
        try:
            yield turn
        finally:
            await self._form_anew(turn.standing)

    async def propose(self, command: bytes, timeout: float) -> int:  # noqa: ASYNC109 (Raft's own signature)
        """See Consensus.propose; NoQuorum at once where too few voters are linked, or it is being formed anew."""
        return await self._quorate().propose(command, timeout)

    async def barrier(self, timeout: float) -> int:  # noqa: ASYNC109 (Raft's own signature)
        """See Consensus.barrier; NoQuorum at once where too few voters are linked."""
        return await self._quorate().barrier(timeout)

    async def add_voter(self, node: NodeId) -> None:
        """See Consensus.add_voter."""
        await self._sitting().add_voter(node)

    async def remove_voter(self, node: NodeId) -> None:
        """See Consensus.remove_voter."""
        await self._sitting().remove_voter(node)

    async def transfer(self, node: NodeId) -> None:
        """See Consensus.transfer."""
        await self._sitting().transfer(node)

    def received(self, peer: NodeId, payload: bytes) -> None:
        """A message of Raft's; lost while consensus is being formed anew, as any message may be, or while barred."""
        if self._consensus and not self.standing.barred:
            self._consensus.received(peer, payload)

    def peer_up(self, peer: NodeId) -> None:
        """A link is there."""
        if self._consensus:
            self._consensus.peer_up(peer)

    def peer_down(self, peer: NodeId) -> None:
        """A link is gone."""
        if self._consensus:
            self._consensus.peer_down(peer)

    def _quorate(self) -> Consensus:
        """Worth asking: a leader that has just gone is waited for, voters that are out of reach are not."""
        consensus = self._sitting()
        voters = consensus.view.voters
        here = voters & (self._wire.connected() | {self._me})
        if voters and 2 * len(here) <= len(voters):
            raise NoQuorum(
                f"{len(voters) - len(here)} of the {len(voters)} machines that decide are out of reach",
                "your edits are safe here; ask again when the machines are connected (hmd swarm)",
            )
        return consensus

    def _sitting(self) -> Consensus:
        if self._consensus is None:
            raise NoQuorum("this node is changing its swarm", "try again in a moment")
        return self._consensus

    async def _form_anew(self, standing: Standing) -> None:
        try:
            await self._form(standing)
        except (StorageError, OSError) as error:
            self._on_failure(error)
            raise

    async def _form(self, standing: Standing) -> None:
        # Durable already: whatever fails from here on, it holds.
        self.standing = standing
        folder = standing.folder(self._data_dir)
        await asyncio.to_thread(_prepare, folder, standing)
        consensus = Consensus(
            self._me, folder, frozenset(standing.voters), self._machine, self._wire, epoch=standing.epoch
        )
        consensus.on_view = self._seen
        consensus.on_failure = self._on_failure
        self._consensus = await self._open.enter_async_context(consensus)
        for peer in self._wire.connected():
            self.peer_up(peer)
        self._seen(consensus.view)

    async def _dissolve(self) -> None:
        self._consensus = None
        await self._open.aclose()
        self._open = AsyncExitStack()

    def _on_failure(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    def _seen(self, view: View) -> None:
        for listener in self.on_view:
            listener(view)


def _prepare(folder: Path, standing: Standing) -> None:
    """Begins the log where there is none yet, and removes those of former standings."""
    if not Consensus.has_begun(folder):
        Consensus.reset(folder, frozenset(standing.voters), standing.index, standing.term)
    for former in folder.parent.iterdir():
        if former != folder:
            log.info("former log of consensus removed folder=%s", former)
            with contextlib.suppress(OSError):
                shutil.rmtree(former)

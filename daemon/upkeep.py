"""The daemon about itself: its status, imports, and what the doctor finds and mends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hiveminddb.answers import Imported, Refused
from hiveminddb.daemon.embedding.embedder import Embedder
from hiveminddb.daemon.intents import ImportFile, VaultChoice
from hiveminddb.daemon.mending import remade
from hiveminddb.daemon.mirror.arrival import Arrival
from hiveminddb.daemon.mirror.mirror import Mirror
from hiveminddb.daemon.mirror.takein import file_text, merge_in
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.recall import IndexInUse, Recall
from hiveminddb.daemon.swarm_cases import SwarmCases
from hiveminddb.errors import HiveMindError
from hiveminddb.model import NodeId
from hiveminddb.store import changes, outbox, topic_files, vault_state, vectors
from hiveminddb.store.check import check
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.index import Index
from hiveminddb.store.rows import MemoryRow, to_microseconds
from hiveminddb.store.transaction import Transaction
from hiveminddb.swarm import SwarmStatus
from hiveminddb.upkeep import Check, EmbeddingStatus, Pending, Status, VaultStatus
from hiveminddb.vault.topics import Topics, topic_of

VERSION = version("hiveminddb")


@dataclass(frozen=True, slots=True)
class Parts:
    """What upkeep looks after."""

    node: NodeId
    data_dir: Path
    vault_dir: Path
    database: Database
    pipeline: Pipeline
    topics: Topics
    recall: Recall
    in_use: IndexInUse
    embedder: Embedder
    mirror: Mirror
    swarm: SwarmCases


class Upkeep:
    """Use cases about the daemon rather than about memories."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = time.monotonic()

    async def status(self) -> Status:
        """The daemon at this moment, counted in one read."""
        swarm = await self._parts.swarm.status()
        return await self._parts.database.read(lambda connection: self._status(connection, swarm))

    def vault_status(self, connection: Connection) -> VaultStatus:
        """Whether the vault is mirrored, and which files are not."""
        mirror, files = self._parts.mirror, vault_state.count_files(connection)
        if mirror.stopped:
            return VaultStatus(str(self._parts.vault_dir), "stopped", files, mirror.stopped)
        refused = "; ".join(f"{path}: {reason}" for path, reason in sorted(mirror.refused.items())[:10])
        left_out = f"{len(mirror.refused)} not mirrored: {refused}" if refused else ""
        return VaultStatus(str(self._parts.vault_dir), "mirrored", files, left_out)

    async def resolve_vault(self, choice: VaultChoice) -> VaultStatus:
        """Answer a vault that stopped and asks."""
        await self._parts.mirror.resolve(choice)
        return await self._parts.database.read(self.vault_status)

    async def doctor(self, rebuild: bool, check: bool) -> Sequence[Check]:
        """Look at everything; make the projections anew where asked."""
        found = [await self._rebuilt()] if rebuild else []
        if check or not rebuild:
            found += await self._checked()
        return found

    def _status(self, connection: Connection, swarm: SwarmStatus) -> Status:
        parts = self._parts
        listed, gone, topics = topic_files.counts(connection)
        waiting = Pending(outbox.pending_count(connection, "mirror"), outbox.pending_count(connection, "embed"))
        last = changes.last_change(connection)
        return Status(
            node_id=parts.node,
            version=VERSION,
            vault=self.vault_status(connection),
            memories=listed,
            invalidated=gone,
            topics=topics,
            changes=last,
            pending=waiting,
            embedding=self._embedding(connection),
            search=parts.recall.status(),
            uptime_s=round(time.monotonic() - self._started, 1),
            data_dir=str(parts.data_dir),
            database_bytes=parts.database.size_bytes(),
            swarm=swarm,
        )

    def _embedding(self, connection: Connection) -> EmbeddingStatus:
        embedder = self._parts.embedder
        cover = vectors.coverage(connection, embedder.model_id)
        reason = embedder.state.reason
        if embedder.set_aside:
            reason = f"{reason}; {embedder.set_aside} texts could not be embedded".lstrip("; ")
        return EmbeddingStatus(embedder.model_id, embedder.state.name, reason, cover.vectors, cover.missing)

    def imported(self, tx: Transaction, files: Sequence[ImportFile]) -> Imported:
        """Takes markdown files in, on the writer's thread; what cannot be a topic is refused and the rest taken."""
        added = unchanged = merged = 0
        refused: list[Refused] = []
        for file in files:
            try:
                topic = topic_of(file.path)
            except HiveMindError as error:
                refused.append(Refused(file.path, error.message))
                continue
            had = tx.entries_of(topic)
            new = [] if had and file_text(had) == file.text else self._merged(tx, topic, file.text)
            self._parts.topics.add(topic)
            added += sum(row.listed for row in new)
            unchanged += not new
            merged += bool(had and new)
        return Imported(added, unchanged, merged, tuple(refused))

    def _merged(self, tx: Transaction, topic: str, text: str) -> list[MemoryRow]:
        now = to_microseconds(datetime.now(UTC))
        return merge_in(tx, self._parts.pipeline, Arrival(topic, text, "", now))

    async def _rebuilt(self) -> Check:
        parts = self._parts

        def anew(tx: Transaction) -> int:
            count = remade(tx, parts.pipeline)
            index = Index.load(tx.connection)
            if in_use := vectors.active(tx.connection):
                index.use_vectors(in_use.dimensions, vectors.load(tx.connection))
            tx.after_commit(lambda: setattr(parts.in_use, "index", index))
            return count

        count = await parts.database.write(anew)
        return Check("rebuild", True, f"projections made anew from {count} changes", repaired=True)

    async def _checked(self) -> list[Check]:
        findings = await self._parts.database.read(check)
        checks = [Check(found.check, found.ok, found.message) for found in findings]
        vault, embedding = await self._parts.database.read(self.vault_status), self._parts.embedder.state
        checks.append(Check("vault", vault.state == "mirrored" and not vault.reason, vault.reason or vault.state))
        model = f"{self._parts.embedder.model_id} is {embedding.name}"
        checks.append(Check("model", embedding.name in ("ready", "off"), f"{model} {embedding.reason}".strip()))
        return checks

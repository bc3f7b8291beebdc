"""The whole daemon: its parts opened in order, watched over, and closed in reverse."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hiveminddb.daemon.api.api import Api
from hiveminddb.daemon.api.routes_node import Health
from hiveminddb.daemon.api.security import guard_for
from hiveminddb.daemon.api.server import serving
from hiveminddb.daemon.commits import Bell, Chime, Commits
from hiveminddb.daemon.config import Config
from hiveminddb.daemon.embedding.embedder import Embedder
from hiveminddb.daemon.embedding.spec import NoModel, named, open_embedder, parse
from hiveminddb.daemon.embedding_job import SETTING, EmbeddingJob
from hiveminddb.daemon.guarantees import Acknowledging
from hiveminddb.daemon.intake import Intake
from hiveminddb.daemon.lock import data_lock, vault_lock
from hiveminddb.daemon.memories import Memories
from hiveminddb.daemon.mending import DATABASE
from hiveminddb.daemon.mirror.mirror import VAULT_ID, Mirror
from hiveminddb.daemon.mirror.settling import Settler
from hiveminddb.daemon.origin import begin
from hiveminddb.daemon.pipeline import Pipeline
from hiveminddb.daemon.presence import announced
from hiveminddb.daemon.recall import IndexInUse, Recall
from hiveminddb.daemon.swarm.swarm import Bells, Swarm
from hiveminddb.daemon.tails import Tails
from hiveminddb.daemon.upkeep import VERSION, Parts, Upkeep
from hiveminddb.errors import InvalidConfig
from hiveminddb.model import NodeId
from hiveminddb.store import changes, topic_files, vectors
from hiveminddb.store.birthmark import birthmark
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.index import Index
from hiveminddb.store.vault_state import meta
from hiveminddb.sync.clock import Clock
from hiveminddb.sync.identity import load_or_create, node_id
from hiveminddb.vault.topics import Topics
from hiveminddb.vault.vault import Vault

log = logging.getLogger(__name__)

KEY = "node.key"
TOKEN = "token"


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What is kept in memory beside the database."""

    index: Index
    topics: Topics
    last_hlc: int
    vault_id: str
    model: str
    setting: str


async def run(config: Config, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, or until a part fails that the daemon cannot be without."""
    async with opened(config) as tasks:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in tasks:
            if task.done():
                task.result()


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The daemon, serving while inside; gives the tasks whose end is its end."""
    async with AsyncExitStack() as stack:
        stack.enter_context(data_lock(config.data_dir))
        key = load_or_create(config.data_dir / KEY)
        identity = node_id(key)
        chime = Chime()
        database = await stack.enter_async_context(Database(config.data_dir / DATABASE, chime.ring))
        loaded = await database.read(_load)
        # What has just been loaded stays: no collection needs to look at it again.
        gc.freeze()
        vault = await stack.enter_async_context(_vault(stack, config.vault, loaded))
        embedder = await stack.enter_async_context(open_embedder(config.embedding_model))
        former = await _former(stack, config, loaded)
        in_use, mirror_bell, embed_bell = IndexInUse(loaded.index, loaded.model), Bell(), Bell()
        tails, bells = Tails(), Bells(Bell(), Bell())
        file = birthmark(database.path)
        origin = await database.write(lambda tx: begin(tx, identity, file))
        # This node's own times only grow, however wrong the clock was or is.
        clock = Clock(await database.read(lambda db: max(changes.last_hlc_of(db, it) for it in (identity, origin))))
        clock.witness(loaded.last_hlc)
        # Who wrote may wait for the order.
        chime.add(bells.ordering, bells.knowledge, mirror_bell, embed_bell)
        pipeline = Pipeline(identity, clock, Commits(in_use, tails), origin)
        swarm = await stack.enter_async_context(
            Swarm(config, key, database, pipeline, Intake(pipeline, loaded.topics), bells)
        )
        embedding = await stack.enter_async_context(
            EmbeddingJob(database, in_use, embedder, named(config.embedding_model), embed_bell, swarm.exchange)
        )
        swarm.exchange.serve(embedding)
        settler = Settler(pipeline, loaded.topics, tails)
        mirror = await stack.enter_async_context(Mirror(database, settler, tails, vault, mirror_bell))
        recall = Recall(database, in_use, embedder, former, loaded.topics)
        upkeep = Upkeep(
            Parts(
                identity, config.data_dir, config.vault, database, pipeline, loaded.topics, recall, in_use, embedder,
                mirror, swarm.desk,
            )
        )  # fmt: skip
        acks = Acknowledging(swarm.outlook.has_quorum, swarm.ordering.placed)
        cases = Memories(
            database, pipeline, loaded.topics, recall, embedding, upkeep, swarm.desk, swarm.claims, acks, mirror.looked
        )
        api = _api(config, cases, identity)
        address = await stack.enter_async_context(serving(api, config.listen_addr))
        stack.enter_context(announced(config.data_dir, address.url, VERSION))
        log.info("ready node=%s url=%s vault=%s", identity, address.url, config.vault)
        yield [*mirror.tasks, embedding.task, *swarm.tasks]


async def _former(stack: AsyncExitStack, config: Config, loaded: _Loaded) -> Embedder | None:
    """The model that made the vectors there are, where another has been configured since."""
    if not loaded.model or loaded.setting == named(config.embedding_model) or config.embedding_model == NoModel():
        return None
    try:
        return await stack.enter_async_context(open_embedder(parse(loaded.setting, os.environ)))
    except InvalidConfig as error:
        log.warning("former model not available reason=%s", error.message)
        return None


def _vault(stack: AsyncExitStack, folder: Path, loaded: _Loaded) -> Vault:
    """The vault, held against other daemons; one that has vanished is not made anew, the mirror asks about it."""
    if not loaded.vault_id:
        folder.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        stack.enter_context(vault_lock(folder))
    return Vault(folder, loaded.vault_id)


def _api(config: Config, cases: Memories, identity: NodeId) -> Api:
    guard = guard_for(config.listen_addr.host, config.data_dir / TOKEN)
    return Api(cases, guard, Health("ok", VERSION, identity), config.settings)


def _load(connection: Connection) -> _Loaded:
    index, in_use = Index.load(connection), vectors.active(connection)
    if in_use:
        index.use_vectors(in_use.dimensions, vectors.load(connection))
    topics = Topics(topic_files.living_topics(connection))
    return _Loaded(
        index=index,
        topics=topics,
        last_hlc=changes.last_hlc(connection),
        vault_id=meta(connection, VAULT_ID),
        model=in_use.model if in_use else "",
        setting=meta(connection, SETTING),
    )

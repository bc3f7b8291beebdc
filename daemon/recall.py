"""Answering a search: the question's vector where a model is there, the ranking, and the memories themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hiveminddb.daemon.authoring import micros
from hiveminddb.daemon.embedding.embedder import Embedder, Vectors
from hiveminddb.daemon.intents import Filters, Search
from hiveminddb.daemon.usecases import Found
from hiveminddb.errors import Unavailable
from hiveminddb.model import Hit
from hiveminddb.store import filters as store
from hiveminddb.store import memories
from hiveminddb.store.cues import query_text
from hiveminddb.store.database import Connection, Database
from hiveminddb.store.index import Index
from hiveminddb.store.rows import MemoryRow, to_memory, to_microseconds
from hiveminddb.store.search import Mode, Query, Scored, known_names, search
from hiveminddb.upkeep import SearchStatus
from hiveminddb.vault.topics import Topics

_OTHER_MODEL = "searched by words only: the vectors are another model's, those of the present one are being made"


@dataclass(slots=True)
class IndexInUse:
    """The search index, which a rebuild replaces, and the model whose vectors it has (empty before the first)."""

    index: Index
    model: str = ""


class Recall:
    """Searches; without a vector it searches by words and says so.

    After a change of the model the `former` one answers until all memories have vectors of the new.
    """

    def __init__(
        self, database: Database, index: IndexInUse, embedder: Embedder, former: Embedder | None, topics: Topics
    ) -> None:
        self._database = database
        self._in_use = index
        self._embedder = embedder
        self._former = former
        self._topics = topics

    async def search(self, wanted: Search) -> Found:
        """The memories that answer best, with the mode that was possible and why it was not the one asked for."""
        index = self._in_use.index
        filters = store_filters(wanted.filters, self._topics)
        vector, note = await self._vector(index, wanted, filters)
        now = to_microseconds(datetime.now(UTC))
        query = Query(wanted.query, vector, filters, wanted.limit, wanted.mode, wanted.explain, now)

        def answer(connection: Connection) -> tuple[Mode, tuple[Hit, ...]]:
            result = search(connection, index, query)
            rows = memories.memories(connection, [hit.id for hit in result.hits])
            return result.mode, _hits(result.hits, rows)

        mode, hits = await self._database.read(answer)
        return Found(hits, mode, note if mode == "lexical" and wanted.mode != "lexical" else "")

    def status(self) -> SearchStatus:
        """How a search asked for now would be made."""
        embedder = self._serving()
        if embedder is None:
            return SearchStatus("lexical", _OTHER_MODEL)
        if embedder.state.name == "ready":
            return SearchStatus("hybrid")
        return SearchStatus("lexical", _note(embedder.state.name, embedder.state.reason))

    def _serving(self) -> Embedder | None:
        """The model that made the vectors there are; the configured one while there are none."""
        choices = [self._embedder, *([self._former] if self._former else [])]
        fitting = (it for it in choices if self._in_use.model in ("", it.model_id) or it.state.name == "off")
        return next(fitting, None)

    async def _vector(self, index: Index, wanted: Search, filters: store.Filters) -> tuple[Vectors | None, str]:
        if wanted.mode == "lexical" or not wanted.query.strip():
            return None, ""
        embedder = self._serving()
        if embedder is None:
            return None, _OTHER_MODEL
        state = embedder.state
        if state.name in ("off", "broken"):
            return None, _note(state.name, state.reason)
        try:
            text = query_text(wanted.query, known_names(index, filters))
            return await embedder.embed_query(text), "no memory has a vector yet"
        except Unavailable as error:
            return None, _note(state.name, error.message)


def store_filters(filters: Filters, topics: Topics) -> store.Filters:
    """The filters in the store's terms; a topic may be named by its path or by any name that maps to it."""
    return store.Filters(
        topic=topics.resolve(filters.topic) if filters.topic is not None else None,
        tags=filters.tags,
        user_id=filters.user_id,
        agent_id=filters.agent_id,
        session_id=filters.session_id,
        speaker=filters.speaker,
        memory_type=filters.memory_type,
        since=micros(filters.since),
        until=micros(filters.until),
        include_invalidated=filters.include_invalidated,
    )


def _hits(scored: Sequence[Scored], rows: dict[str, MemoryRow]) -> tuple[Hit, ...]:
    return tuple(Hit(to_memory(rows[hit.id]), hit.score, hit.why) for hit in scored if hit.id in rows)


def _note(state: str, reason: str) -> str:
    return f"searched by words only: the embedding model is {state}" + (f" ({reason})" if reason else "")

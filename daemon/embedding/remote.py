"""An embedding model behind HTTP: an OpenAI-compatible endpoint or Ollama."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
import numpy as np

from hiveminddb.daemon.embedding import http as wire
from hiveminddb.daemon.embedding.embedder import EmbedderState, StateName, Vectors, unavailable
from hiveminddb.daemon.embedding.passages import TEXT_LIMIT, cut
from hiveminddb.errors import Unavailable

log = logging.getLogger(__name__)

# Some 250 tokens of English: what local models of this kind take well, and far under every endpoint's limit.
PASSAGE_CHARACTERS = 1000
PASSAGE_OVERLAP = 100

# Passages in one request: small enough that decoding its answer does not hold up the loop.
BATCH = 32
# Requests for texts at once; queries go beside them on connections of their own.
BATCHES_UNDER_WAY = 2
QUERIES_UNDER_WAY = 64
# 32 vectors of 4,096 numbers written out in full are 3 MB.
ANSWER_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a query in all, for one request of texts, and between tries (doubling)."""

    query: float = 3.0
    request: float = 60.0
    first: float = 0.2
    last: float = 30.0
    denied: float = 300.0
    tries: int = 5


class RemoteEmbedder:
    """Embeds over HTTP; entering returns at once, the model is tried behind and again whenever it was lost."""

    def __init__(
        self, *, name: str, api: wire.Api, url: str, model: str, key: str = "", patience: Patience | None = None
    ) -> None:
        self._name = name
        self._api: wire.Api = api
        self._url = url + wire.PATHS[api]
        self._model = model
        self._key = key
        self._patience = patience or Patience()
        self._state = EmbedderState("off", "not started")
        self._dim: int | None = None
        self._set_aside = 0
        self._queries = 0
        self._slots = asyncio.Semaphore(BATCHES_UNDER_WAY)
        self._lost = asyncio.Event()
        self._settled = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def model_id(self) -> str:
        return self._name

    @property
    def dim(self) -> int | None:
        return self._dim

    @property
    def state(self) -> EmbedderState:
        return self._state

    @property
    def set_aside(self) -> int:
        return self._set_aside

    async def __aenter__(self) -> Self:
        # Making a client reads the certificates: too long for the loop.
        self._client = await asyncio.to_thread(self._make_client)
        self._become("loading", f"{self._url} is being tried")
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        self._become("off", "stopped")
        self._open_if(True)
        if self._client:
            await self._client.aclose()

    async def embed_query(self, text: str) -> Vectors:
        if self._state.name not in ("ready", "loading"):
            raise unavailable(self._state)
        if self._queries >= QUERIES_UNDER_WAY:
            raise Unavailable(f"no vectors: {QUERIES_UNDER_WAY} queries are waiting", "search is lexical meanwhile")
        self._queries += 1
        try:
            async with asyncio.timeout(self._patience.query):
                rows = await self._ask([text[:PASSAGE_CHARACTERS]])
        except TimeoutError:
            self._lose(wire.Transient(f"no answer in {self._patience.query} s"))
            raise unavailable(self._state) from None
        except (wire.Transient, wire.Unacceptable, wire.Denied) as error:
            self._lose(error)
            raise Unavailable(f"no vectors: {self._url}: {error}", "search is lexical meanwhile") from error
        finally:
            self._queries -= 1
        return np.asarray(rows[0], dtype=np.float32)

    async def embed_texts(self, texts: Sequence[str]) -> list[Vectors]:
        per_text = [cut(text[:TEXT_LIMIT], PASSAGE_CHARACTERS, PASSAGE_OVERLAP) for text in texts]
        flat = [passage for passages in per_text for passage in passages]
        batches = [flat[start : start + BATCH] for start in range(0, len(flat), BATCH)]
        answers = await asyncio.gather(*(self._embed_batch(batch) for batch in batches))
        rows = iter([row for answer in answers for row in answer])
        return [self._stack([next(rows) for _ in passages]) for passages in per_text]

    def _stack(self, rows: list[Vectors | None]) -> Vectors:
        """All passages of one text; no row at all where one was refused."""
        taken = [row for row in rows if row is not None]
        if len(taken) < len(rows):
            self._set_aside += 1
            log.warning(
                "text set aside: model=%s passages=%d refused=%d", self._name, len(rows), len(rows) - len(taken)
            )
            return np.zeros((0, self._dim or 0), dtype=np.float32)
        return np.stack(taken)

    async def _embed_batch(self, batch: list[str]) -> list[Vectors | None]:
        async with self._slots:
            await self._settled.wait()
            if self._state.name in ("broken", "off"):
                raise unavailable(self._state)
            return await self._embed_halving(batch)

    async def _embed_halving(self, batch: list[str]) -> list[Vectors | None]:
        """One row a passage, None for those that the server does not take even alone."""
        try:
            return list(await self._ask_patiently(batch))
        except wire.Unacceptable:
            if len(batch) == 1:
                return [None]
        middle = len(batch) // 2
        return [*await self._embed_halving(batch[:middle]), *await self._embed_halving(batch[middle:])]

    async def _ask_patiently(self, batch: list[str]) -> Vectors:
        delay = self._patience.first
        for left in range(self._patience.tries - 1, -1, -1):
            try:
                async with asyncio.timeout(self._patience.request):
                    return await self._ask(batch)
            except (TimeoutError, wire.Transient) as error:
                transient = error if isinstance(error, wire.Transient) else wire.Transient("no answer in time")
            except wire.Denied as denied:
                self._lose(denied)
                raise unavailable(self._state) from denied
            if left:
                await asyncio.sleep(min(max(delay, transient.after), self._patience.last))
            delay *= 2
        self._lose(transient)
        raise unavailable(self._state)

    async def _ask(self, batch: list[str]) -> Vectors:
        if self._client is None or self._client.is_closed:
            raise wire.Denied("stopped")
        content = wire.request_body(self._api, self._model, batch)
        try:
            async with self._client.stream("POST", self._url, content=content) as response:
                body = await _read(response)
        except httpx.HTTPError as error:
            raise wire.Transient(f"{type(error).__name__} {error}".strip()) from error
        if response.status_code != 200:
            raise wire.refusal(response.status_code, body, response.headers.get("retry-after", ""))
        rows = wire.vectors(self._api, body, len(batch))
        if self._dim is not None and rows.shape[1] != self._dim:
            raise wire.Denied(f"vectors of {rows.shape[1]} numbers where they had {self._dim}")
        self._dim = rows.shape[1]
        return rows

    async def _watch(self) -> None:
        """Tries the model until it answers, and again after it was lost."""
        while True:
            self._lost.clear()
            delay = self._patience.first
            while (error := await self._probe()) is not None:
                denied = isinstance(error, wire.Denied | wire.Unacceptable)
                self._become("broken" if denied else "restarting", f"{self._url}: {error}")
                self._open_if(denied)
                await asyncio.sleep(self._patience.denied if denied else delay)
                delay = min(delay * 2, self._patience.last)
            self._become("ready")
            self._open_if(True)
            await self._lost.wait()
            await asyncio.sleep(self._patience.first)

    async def _probe(self) -> Exception | None:
        try:
            async with asyncio.timeout(self._patience.request):
                await self._ask(["ready?"])
        except TimeoutError:
            return wire.Transient("no answer in time")
        except (wire.Transient, wire.Unacceptable, wire.Denied) as error:
            return error
        return None

    def _lose(self, error: Exception) -> None:
        """What one request met: the model is tried again before anyone else waits for it; a refused text is no loss."""
        if isinstance(error, wire.Unacceptable) or self._state.name not in ("ready", "loading"):
            return
        denied = isinstance(error, wire.Denied)
        self._become("broken" if denied else "restarting", f"{self._url}: {error}")
        self._open_if(denied)
        self._lost.set()

    def _open_if(self, settled: bool) -> None:
        """Texts wait while it is open whether the model can be had."""
        if settled:
            self._settled.set()
        else:
            self._settled.clear()

    def _become(self, name: StateName, reason: str = "") -> None:
        if (state := EmbedderState(name, reason)) != self._state:
            self._state = state
            log.info("embedder state=%s model=%s reason=%s", name, self._name, reason)

    def _make_client(self) -> httpx.AsyncClient:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx.Limits(max_connections=QUERIES_UNDER_WAY + BATCHES_UNDER_WAY + 1)
        return httpx.AsyncClient(headers=headers, limits=limits, timeout=self._patience.request)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise wire.Denied(f"an answer of more than {ANSWER_LIMIT} bytes")
    return bytes(body)

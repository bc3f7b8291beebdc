"""A local embedding model in a supervised child process: a crash there costs its restart, never the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from hiveminddb.daemon.embedding import frames as frames
from hiveminddb.daemon.embedding.embedder import EmbedderState, StateName, Vectors, unavailable
from hiveminddb.daemon.embedding.passages import CUT, TEXT_LIMIT
from hiveminddb.daemon.embedding.process import Deadlines, EmbeddingProcess
from hiveminddb.errors import Unavailable

log = logging.getLogger(__name__)

# Texts with the child at once: it never waits for the next one, even while the loop is busy for a few of them.
TEXTS_UNDER_WAY = 8
QUERIES_UNDER_WAY = 256

BACKOFF_FIRST = 0.2
BACKOFF_LAST = 30.0
# Deaths in a row without one vector after which the model is called broken; trying goes on at the slowest pace.
DEATHS_UNTIL_BROKEN = 5
# A text in hand this many times when the child died is not tried again.
STRIKES = 2
# Texts remembered as deadly or suspected; far more than a working model ever has.
STRIKES_KEPT = 1024

DIGEST_BYTES = 1 << 20


@dataclass(eq=False, slots=True)
class _Request:
    id: int
    text: bytes
    urgent: bool
    future: asyncio.Future[list[bytes]]
    vectors: list[bytes] = field(default_factory=list)


class _Refusal(Exception):
    """The child said that trying again will not help."""


class LocalEmbedder:
    """Embeds with a GGUF file; entering returns at once, the model loads behind."""

    def __init__(
        self, model: Path, *, deadlines: Deadlines | None = None, command: Sequence[str] | None = None
    ) -> None:
        self._model = model
        self._deadlines = deadlines or Deadlines()
        command = command or (sys.executable, "-P", "-m", "hiveminddb.daemon.embedding.child", str(model))
        self._process = EmbeddingProcess(command, self._deadlines, self._take)
        self._state = EmbedderState("off", "not started")
        self._model_id = model.stem.lower()
        self._dim: int | None = None
        self._ids = itertools.count(1)
        self._requests: dict[int, _Request] = {}
        self._in_hand: int | None = None
        self._strikes: Counter[bytes] = Counter()
        self._set_aside = 0
        self._deaths = 0
        self._slots = asyncio.Semaphore(TEXTS_UNDER_WAY)
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def model_id(self) -> str:
        return self._model_id

    @property
    def dim(self) -> int | None:
        return self._dim

    @property
    def state(self) -> EmbedderState:
        return self._state

    @property
    def set_aside(self) -> int:
        return self._set_aside

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is no child."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        try:
            self._model_id = await asyncio.to_thread(model_name, self._model)
        except OSError as error:
            self._become("broken", f"cannot read the model file {self._model}: {error.strerror}")
            return self
        self._become("loading", "the model is being loaded")
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._supervisor:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        self._become("off", "stopped")
        self._fail_all()

    async def embed_query(self, text: str) -> Vectors:
        if self._state.name not in ("ready", "loading"):
            raise unavailable(self._state)
        if sum(request.urgent for request in self._requests.values()) >= QUERIES_UNDER_WAY:
            raise Unavailable(f"no vectors: {QUERIES_UNDER_WAY} queries are waiting", "search is lexical meanwhile")
        request = self._submit(text, urgent=True)
        try:
            async with asyncio.timeout(self._deadlines.query):
                vectors = await request.future
        except TimeoutError:
            reason = f"embedding took longer than {self._deadlines.query} s"
            raise Unavailable(f"no vectors: {reason}", "search is lexical meanwhile") from None
        if not vectors:
            raise Unavailable("no vectors: the model could not take this text", "search is lexical for it")
        return _rows(vectors[:1]).reshape(-1)

    async def embed_texts(self, texts: Sequence[str]) -> list[Vectors]:
        return list(await asyncio.gather(*(self._embed_text(text) for text in texts)))

    async def _embed_text(self, text: str) -> Vectors:
        async with self._slots:
            if self._state.name in ("broken", "off"):
                raise unavailable(self._state)
            vectors = await self._submit(text, urgent=False).future
        return _rows(vectors) if vectors else np.zeros((0, self._dim or 0), dtype=np.float32)

    def _submit(self, text: str, *, urgent: bool) -> _Request:
        # Any string is legal, lone surrogates too.
        data = text[:TEXT_LIMIT].encode("utf-8", "replace")
        request = _Request(next(self._ids), data, urgent, asyncio.get_running_loop().create_future())
        if self._strikes[_key(data)] >= STRIKES:
            request.future.set_result([])
            return request
        self._requests[request.id] = request
        if self._state.name == "ready":
            self._send(request)
        return request

    def _send(self, request: _Request) -> None:
        self._process.send(frames.Embed(request.id, request.text, request.urgent))

    async def _supervise(self) -> None:
        while True:
            try:
                await self._check_file()
                reason = await self._process.live()
            except _Refusal as refusal:
                self._become("broken", str(refusal))
                self._fail_all()
                return
            self._bury(reason)
            await asyncio.sleep(min(BACKOFF_FIRST * 2 ** (self._deaths - 1), BACKOFF_LAST))

    async def _check_file(self) -> None:
        try:
            name = await asyncio.to_thread(model_name, self._model)
        except OSError as error:
            raise _Refusal(f"cannot read the model file {self._model}: {error.strerror}") from error
        if name != self._model_id:
            raise _Refusal(f"the model file has changed: {self._model}; restart the daemon to use it")

    def _take(self, answer: frames.Answer) -> bool:
        self._receive(answer)
        return bool(self._requests)

    def _receive(self, answer: frames.Answer) -> None:
        match answer:
            case frames.Ready(dim=dim):
                self._start_work(dim)
            case frames.Failed(reason=reason):
                raise _Refusal(reason)
            case frames.Working(id=number):
                self._in_hand = number
            case frames.Passage():
                self._collect(answer)
            case frames.Refused(id=number, reason=reason):
                if request := self._requests.pop(number, None):
                    self._lay_aside(request, reason)

    def _start_work(self, dim: int) -> None:
        self._dim = dim
        self._become("ready")
        self._requests = {key: request for key, request in self._requests.items() if not request.future.done()}
        for request in self._requests.values():
            self._send(request)

    def _collect(self, passage: frames.Passage) -> None:
        self._deaths = 0
        if not (request := self._requests.get(passage.id)):
            return
        request.vectors.append(passage.vector)
        if request.urgent or passage.index == passage.count - 1:
            del self._requests[passage.id]
            if not request.future.done():
                request.future.set_result(request.vectors)

    def _bury(self, reason: str) -> None:
        """The child is dead: blame the text it had in hand, fail the queries, keep the texts for the next child."""
        self._deaths += 1
        culprit = self._requests.get(self._in_hand or 0)
        self._in_hand = None
        self._become("broken" if self._deaths >= DEATHS_UNTIL_BROKEN else "restarting", reason)
        if culprit:
            self._strike(culprit, reason)
        for request in list(self._requests.values()):
            request.vectors.clear()
            if request.urgent or request.future.done():
                self._fail(request)
        if self._state.name == "broken":
            self._fail_all()

    def _strike(self, request: _Request, reason: str) -> None:
        key = _key(request.text)
        if key not in self._strikes and len(self._strikes) >= STRIKES_KEPT:
            del self._strikes[next(iter(self._strikes))]
        self._strikes[key] += 1
        if self._strikes[key] >= STRIKES:
            del self._requests[request.id]
            self._lay_aside(request, reason)

    def _lay_aside(self, request: _Request, reason: str) -> None:
        self._set_aside += 1
        log.warning("text set aside: bytes=%d start=%r reason=%s", len(request.text), request.text[:40], reason)
        if not request.future.done():
            request.future.set_result([])

    def _fail(self, request: _Request) -> None:
        del self._requests[request.id]
        if not request.future.done():
            request.future.set_exception(unavailable(self._state))

    def _fail_all(self) -> None:
        for request in list(self._requests.values()):
            self._fail(request)

    def _become(self, name: StateName, reason: str = "") -> None:
        if (state := EmbedderState(name, reason)) != self._state:
            self._state = state
            log.info("embedder state=%s model=%s reason=%s", name, self._model_id, reason)


def model_name(model: Path) -> str:
    """The file's name and a short digest of its size, its two ends and the way texts are cut: cheap for any size."""
    with model.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest = hashlib.sha256(f"{size} {CUT}".encode())
        for start in (0, max(0, size - DIGEST_BYTES)):
            file.seek(start)
            digest.update(file.read(DIGEST_BYTES))
    return f"{model.stem.lower()}-{digest.hexdigest()[:8]}"


def _key(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _rows(vectors: list[bytes]) -> Vectors:
    return np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), -1)

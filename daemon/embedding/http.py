"""The two wire protocols of remote embedding models: request bodies, answers, and what a refusal means. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from hiveminddb.daemon.embedding.embedder import Vectors

Api = Literal["openai", "ollama"]


class Transient(Exception):
    """Worth another try; `after` seconds where the server said so."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Unacceptable(Exception):
    """The server does not take these texts."""


class Denied(Exception):
    """The server will not serve this model to this key, or does not speak this protocol."""


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _OpenAIAnswer(msgspec.Struct):
    data: list[_Item]


class _OllamaAnswer(msgspec.Struct):
    embeddings: list[list[float]]


PATHS: dict[Api, str] = {"openai": "/embeddings", "ollama": "/api/embed"}


def request_body(api: Api, model: str, texts: Sequence[str]) -> bytes:
    """The JSON that asks for the vectors of these texts."""
    inputs = [text.encode("utf-8", "replace").decode() for text in texts]
    if api == "openai":
        return msgspec.json.encode({"model": model, "input": inputs, "encoding_format": "float"})
    return msgspec.json.encode({"model": model, "input": inputs, "truncate": True})


def vectors(api: Api, body: bytes, count: int) -> Vectors:
    """Normalised rows in the order asked; Denied when the answer is not what was asked for."""
    try:
        rows = np.asarray(_embeddings(api, body), dtype=np.float32)
    except ValueError as error:
        raise Denied(f"an answer that is not the {api} protocol: {error}") from error
    if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
        raise Denied(f"{rows.shape} numbers for {count} texts")
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise Denied("a vector without direction")
    unit: Vectors = rows / norms
    return unit


def _embeddings(api: Api, body: bytes) -> list[list[float]]:
    if api == "ollama":
        return msgspec.json.decode(body, type=_OllamaAnswer).embeddings
    items = msgspec.json.decode(body, type=_OpenAIAnswer).data
    return [item.embedding for item in sorted(items, key=lambda item: item.index)]


def refusal(status: int, body: bytes, retry_after: str) -> Exception:
    """What a status other than 200 means for the next try."""
    reason = f"HTTP {status}: {_message(body)}"
    if status in (408, 409, 425, 429) or status >= 500:
        return Transient(reason, float(retry_after) if retry_after.isdecimal() else 0.0)
    if status in (400, 413, 422):
        return Unacceptable(reason)
    return Denied(reason)


def _message(body: bytes) -> str:
    """The error's own words: {"error": {"message": …}} of OpenAI, {"error": …} of Ollama, or the body's beginning."""
    try:
        error = msgspec.json.decode(body, type=dict[str, object]).get("error", "")
    except ValueError:
        error = body.decode(errors="replace")
    if isinstance(error, dict):
        error = error.get("message", "")
    return str(error)[:200]

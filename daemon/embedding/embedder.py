"""What the daemon needs of an embedder, whichever model is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from hiveminddb.errors import Unavailable

Vectors = NDArray[np.float32]

StateName = Literal["loading", "ready", "restarting", "off", "broken"]


@dataclass(frozen=True, slots=True)
class EmbedderState:
    """How the embedder is, in a word, and why where it is not ready."""

    name: StateName
    reason: str = ""


class Embedder(Protocol):
    """Texts to normalised vectors; an async context manager, ready some time after it is entered."""

    @property
    def model_id(self) -> str:
        """Stable name of the model and of the way texts are cut for it; known once entered."""

    @property
    def dim(self) -> int | None:
        """Length of a vector; None until the model has said so."""

    @property
    def state(self) -> EmbedderState: ...

    @property
    def set_aside(self) -> int:
        """Texts the model could not take; they have no vectors."""

    async def embed_query(self, text: str) -> Vectors:
        """One vector of a question, soon or Unavailable; goes before all texts."""

    async def embed_texts(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text one row a passage (no row where it was set aside); Unavailable when the model is gone for good."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NoEmbedder:
    """`none`: no vectors, by choice."""

    model_id = "none"
    dim: int | None = None
    set_aside = 0
    state = EmbedderState("off", "HIVEMIND_EMBEDDING_MODEL is none")

    async def embed_query(self, text: str) -> Vectors:
        raise unavailable(self.state)

    async def embed_texts(self, texts: Sequence[str]) -> list[Vectors]:
        raise unavailable(self.state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def unavailable(state: EmbedderState) -> Unavailable:
    return Unavailable(f"no vectors: embedder {state.name}: {state.reason}", "search is lexical meanwhile")

"""A GGUF embedding model in llama.cpp, through its C interface; only the child process loads this."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from hiveminddb.daemon.embedding.passages import OVERLAP, WINDOW, spans

_LOG_ERROR = 4
_errors: deque[str] = deque(maxlen=4)


class ModelError(Exception):
    """The model cannot be loaded, or cannot embed this."""


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _on_log(level: int, text: bytes, _data: Any) -> None:
    if level == _LOG_ERROR:
        _errors.append(text.decode(errors="replace").strip())


class EmbeddingModel:
    """Tokens in, one normalised vector out, on one thread."""

    def __init__(self, path: Path) -> None:
        llama.llama_log_set(_on_log, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self._model = _load(path)
        self._context = _context(self._model)
        self._vocabulary = llama.llama_model_get_vocab(self._model)
        self._batch = llama.llama_batch_init(WINDOW, 0, 1)
        # A model without memory (BERT) is encoded, one with a memory (a decoder) decoded.
        self._memory = llama.llama_get_memory(self._context)
        self._run = llama.llama_decode if self._memory else llama.llama_encode
        self.dim = int(llama.llama_model_n_embd(self._model))
        self._head, self._tail = self._ends()

    def passages(self, text: bytes) -> list[list[int]]:
        """The text's tokens in overlapping windows, each with the model's special tokens around."""
        tokens = self._tokens(text, special=False)
        size = WINDOW - len(self._head) - len(self._tail)
        return [[*self._head, *tokens[start:end], *self._tail] for start, end in spans(len(tokens), size, OVERLAP)]

    def embed(self, tokens: list[int]) -> bytes:
        """The vector of at most WINDOW tokens as little-endian float32; ModelError when there is none."""
        self._fill(tokens)
        if self._memory:
            llama.llama_memory_clear(self._memory, True)
        if (code := self._run(self._context, self._batch)) != 0:
            raise ModelError(f"llama.cpp returned {code}")
        pointer = llama.llama_get_embeddings_seq(self._context, 0)
        vector = np.ctypeslib.as_array(pointer, shape=(self.dim,))
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0.0:
            raise ModelError("the vector has no direction")
        return (vector / norm).astype("<f4").tobytes()

    def _fill(self, tokens: list[int]) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = True

    def _tokens(self, text: bytes, *, special: bool) -> list[int]:
        # A token is at least one byte; the model's special tokens come on top.
        room = len(text) + 16
        buffer = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocabulary, text, len(text), buffer, room, special, False)
        if count < 0:
            raise ModelError(f"the tokenizer needs {-count} tokens for {len(text)} bytes")
        return list(buffer[:count])

    def _ends(self) -> tuple[list[int], list[int]]:
        bare, whole = self._tokens(b"a", special=False), self._tokens(b"a", special=True)
        at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        return whole[:at], whole[at + len(bare) :]


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"model file not found: {path}")
    parameters = llama.llama_model_default_params()
    # Extra buffers bring AMX kernels, which crash where a virtual machine shows AMX and does not let it be used.
    parameters.use_extra_bufts = False
    parameters.n_gpu_layers = 0
    _errors.clear()
    if not (model := llama.llama_model_load_from_file(os.fsencode(path), parameters)):
        raise ModelError(f"not a model llama.cpp can load: {path}: {'; '.join(_errors)}")
    return model


def _context(model: Any) -> Any:
    context = _new_context(model, llama.LLAMA_POOLING_TYPE_UNSPECIFIED)
    pooling = llama.llama_pooling_type(context)
    if pooling == llama.LLAMA_POOLING_TYPE_NONE:
        llama.llama_free(context)
        return _new_context(model, llama.LLAMA_POOLING_TYPE_MEAN)
    if pooling == llama.LLAMA_POOLING_TYPE_RANK:
        raise ModelError("a reranker, not an embedding model")
    return context


def _new_context(model: Any, pooling: int) -> Any:
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = WINDOW
    # llama.cpp spins when cores are contended: two threads on two busy cores are slower than one.
    parameters.n_threads = parameters.n_threads_batch = 1
    parameters.n_seq_max = 1
    parameters.embeddings = True
    parameters.pooling_type = pooling
    if not (context := llama.llama_init_from_model(model, parameters)):
        raise ModelError(f"llama.cpp made no context: {'; '.join(_errors)}")
    return context

"""Use case answers as the JSON that clients read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from hiveminddb.daemon.api.http import Answer, Headers
from hiveminddb.daemon.usecases import Added, Receipt, WriteStatus, Written
from hiveminddb.model import Arm, Hit, Memory

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Scored:
    """What a hit has besides its memory's own fields, which stand flat beside these and again under `memory`."""

    score: float
    memory: Memory
    why: Mapping[str, Arm] | None = None


@dataclass(frozen=True, slots=True)
class AddedMemories:
    """What a bulk add made, in the order given."""

    added: int
    ids: tuple[str, ...]
    memories: tuple[Memory, ...]
    status: WriteStatus
    seq: int | None


@dataclass(frozen=True, slots=True)
class Invalidated:
    """How many memories of a topic were invalidated."""

    topic: str
    invalidated: int
    status: WriteStatus
    seq: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """How many memories of a topic came back."""

    topic: str
    restored: int
    status: WriteStatus
    seq: int | None


def memory_written(written: Written, status: int = 200, headers: Headers = ()) -> Answer:
    """A memory with the write's receipt among its fields."""
    return Answer(status, _joined(_encode(written.memory), _encode(written.receipt)), headers)


def memory_added(added: Added) -> Answer:
    return memory_written(Written(added.memories[0], added.receipt), 201)


def memories_added(added: Added) -> Answer:
    ids = tuple(memory.id for memory in added.memories)
    receipt: Receipt = added.receipt
    return Answer(201, _encode(AddedMemories(len(ids), ids, added.memories, receipt.status, receipt.seq)))


def hits(found: Iterable[Hit]) -> bytes:
    """A list of hits: each the memory's fields flat, its score, and the memory again for clients that look there."""
    return b"[" + b",".join(map(_hit, found)) + b"]"


def _hit(hit: Hit) -> bytes:
    memory = _encode(hit.memory)
    why = b"" if hit.why is None else b',"why":' + _encode(hit.why)
    return memory[:-1] + b',"score":' + _encode(hit.score) + b',"memory":' + memory + why + b"}"


def _joined(first: bytes, second: bytes) -> bytes:
    """Two JSON objects, neither empty, as one."""
    return first[:-1] + b"," + second[1:]

"""Routes of single memories and of many at once."""

from __future__ import annotations

from typing import Any

from hiveminddb.daemon.api import render
from hiveminddb.daemon.api.http import BULK_BODY_LIMIT, Answer, Call, Route, encoded, header
from hiveminddb.daemon.api.render import AddedMemories
from hiveminddb.daemon.api.requests import (
    Because,
    BecauseWriting,
    MemoryFilters,
    MemoryPatch,
    NewMemories,
    NewMemory,
    Nothing,
    blame,
)
from hiveminddb.daemon.guarantees import Reading, Writing
from hiveminddb.daemon.usecases import Receipt, UseCases
from hiveminddb.model import Memory, Version

WRITTEN = (Memory, Receipt)


async def add(cases: UseCases, call: Call[NewMemory, Writing]) -> Answer:
    return render.memory_added(await cases.add([call.body.draft()], call.body.wait_vectors, call.query.ack))


async def add_many(cases: UseCases, call: Call[NewMemories, Writing]) -> Answer:
    return render.memories_added(await cases.add(call.body.drafts(), call.body.waits, call.query.ack))


async def page(cases: UseCases, call: Call[Nothing, MemoryFilters]) -> Answer:
    found = await cases.page(call.query.filters(), call.query.limit, call.query.cursor)
    headers = [header(b"x-total-count", str(found.total))]
    if found.cursor is not None:
        headers.append(header(b"x-next-cursor", found.cursor))
    return encoded(found.memories, headers=tuple(headers))


async def get(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.get(call.path["id"]))


async def update(cases: UseCases, call: Call[MemoryPatch, Writing]) -> Answer:
    written = await cases.update(call.path["id"], call.body.patch(), call.body.blame(), call.query.ack)
    return render.memory_written(written)


async def forget(cases: UseCases, call: Call[Because, BecauseWriting]) -> Answer:
    return render.memory_written(await cases.forget(call.path["id"], blame(call.body, call.query), call.query.ack))


async def restore(cases: UseCases, call: Call[Because, BecauseWriting]) -> Answer:
    return render.memory_written(await cases.restore(call.path["id"], blame(call.body, call.query), call.query.ack))


async def history(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.history(call.path["id"]))


_ONE = "/api/v1/memories/{id}"

ROUTES: tuple[Route[Any, Any], ...] = (
    Route("POST", "/api/v1/memories", add, "Add a memory", NewMemory, Writing, WRITTEN, 201),
    Route("GET", "/api/v1/memories", page, "List memories, newest first", Nothing, MemoryFilters, list[Memory]),
    Route("GET", _ONE, get, "One memory, invalidated ones too", Nothing, Reading, Memory),
    Route("PUT", _ONE, update, "Change a memory", MemoryPatch, Writing, WRITTEN),
    Route("PATCH", _ONE, update, "Change a memory", MemoryPatch, Writing, WRITTEN),
    Route("DELETE", _ONE, forget, "Invalidate a memory", Because, BecauseWriting, WRITTEN, body_optional=True),
    Route(
        "POST", _ONE + "/restore", restore, "Bring a memory back", Because, BecauseWriting, WRITTEN, body_optional=True
    ),
    Route("GET", _ONE + "/history", history, "The versions of a memory, oldest first", Nothing, Reading, list[Version]),
    Route(
        "POST",
        "/api/v1/bulk/memories",
        add_many,
        "Add memories in one transaction",
        NewMemories,
        Writing,
        AddedMemories,
        201,
        body_limit=BULK_BODY_LIMIT,
    ),
)

"""Routes that look for things: by meaning, by word, by line, by change."""

from __future__ import annotations

from typing import Any

from hiveminddb.answers import FeedChange, Line
from hiveminddb.daemon.api import render
from hiveminddb.daemon.api.http import Answer, Call, Headers, Route, encoded, header
from hiveminddb.daemon.api.render import Scored
from hiveminddb.daemon.api.requests import ChangesQuery, LinesQuery, Nothing, SearchQueries, SearchQuery
from hiveminddb.daemon.guarantees import Reading
from hiveminddb.daemon.usecases import Found, UseCases
from hiveminddb.model import Memory

HIT = (Memory, Scored)


async def search(cases: UseCases, call: Call[SearchQuery, Reading]) -> Answer:
    found = await cases.search(call.body.search())
    return Answer(200, render.hits(found.hits), _told(found))


async def search_many(cases: UseCases, call: Call[SearchQueries, Reading]) -> Answer:
    found = [await cases.search(search) for search in call.body.searches()]
    body = b"[" + b",".join(render.hits(one.hits) for one in found) + b"]"
    return Answer(200, body, _told(found[-1]) if found else ())


async def lines(cases: UseCases, call: Call[Nothing, LinesQuery]) -> Answer:
    return encoded(await cases.lines(call.query.keyword))


async def changes(cases: UseCases, call: Call[Nothing, ChangesQuery]) -> Answer:
    return encoded(await cases.changes(call.query.after, call.query.limit))


def _told(found: Found) -> Headers:
    mode = header(b"x-search-mode", found.mode)
    return (mode, header(b"x-search-note", found.note)) if found.note else (mode,)


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("POST", "/api/v1/search", search, "The memories that answer a query best", SearchQuery, Reading, [HIT]),
    Route("POST", "/api/v1/search/bulk", search_many, "The hits of each query", SearchQueries, Reading, [[HIT]]),
    Route("GET", "/api/v1/lines", lines, "Lines of the vault that hold a keyword", Nothing, LinesQuery, list[Line]),
    Route("GET", "/api/v1/changes", changes, "The change feed", Nothing, ChangesQuery, list[FeedChange]),
)

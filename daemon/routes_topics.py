"""Routes of topics: the files of the vault."""

from __future__ import annotations

from typing import Any

from hiveminddb.answers import TopicText
from hiveminddb.daemon.http import Answer, Call, Route, encoded
from hiveminddb.daemon.render import Invalidated, Restored
from hiveminddb.daemon.requests import Because, Nothing, blame
from hiveminddb.daemon.usecases import UseCases
from hiveminddb.model import Topic


async def topics(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.topics())


async def topic(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.topic(call.path["topic"]))


async def forget(cases: UseCases, call: Call[Because, Because]) -> Answer:
    changed = await cases.forget_topic(call.path["topic"], blame(call.body, call.query))
    return encoded(Invalidated(changed.topic, changed.count))


async def restore(cases: UseCases, call: Call[Because, Because]) -> Answer:
    changed = await cases.restore_topic(call.path["topic"], blame(call.body, call.query))
    return encoded(Restored(changed.topic, changed.count))


_ONE = "/api/v1/topics/{topic:path}"

ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/api/v1/topics", topics, "Every topic, by name", Nothing, Nothing, list[Topic]),
    # Before the topic alone, whose name may hold slashes.
    Route("POST", _ONE + "/restore", restore, "Bring a topic back", Because, Because, Restored, body_optional=True),
    Route("GET", _ONE, topic, "A topic's file and the memories in it", Nothing, Nothing, TopicText),
    Route("DELETE", _ONE, forget, "Invalidate a topic's memories", Because, Because, Invalidated, body_optional=True),
)

"""Routes of topics: the files of the vault."""

from __future__ import annotations

from typing import Any

from hiveminddb.answers import TopicText
from hiveminddb.daemon.api.http import Answer, Call, Route, encoded
from hiveminddb.daemon.api.render import Invalidated, Restored
from hiveminddb.daemon.api.requests import Because, BecauseWriting, Nothing, blame
from hiveminddb.daemon.guarantees import Reading
from hiveminddb.daemon.usecases import UseCases
from hiveminddb.model import Topic


async def topics(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.topics())


async def topic(cases: UseCases, call: Call[Nothing, Reading]) -> Answer:
    return encoded(await cases.topic(call.path["topic"]))


async def forget(cases: UseCases, call: Call[Because, BecauseWriting]) -> Answer:
    gone = await cases.forget_topic(call.path["topic"], blame(call.body, call.query), call.query.ack)
    return encoded(Invalidated(gone.topic, gone.count, gone.receipt.status, gone.receipt.seq))


async def restore(cases: UseCases, call: Call[Because, BecauseWriting]) -> Answer:
    back = await cases.restore_topic(call.path["topic"], blame(call.body, call.query), call.query.ack)
    return encoded(Restored(back.topic, back.count, back.receipt.status, back.receipt.seq))


_ONE = "/api/v1/topics/{topic:path}"

ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/api/v1/topics", topics, "Every topic, by name", Nothing, Reading, list[Topic]),
    # Before the topic alone, whose name may hold slashes.
    Route(
        "POST", _ONE + "/restore", restore, "Bring a topic back", Because, BecauseWriting, Restored, body_optional=True
    ),
    Route("GET", _ONE, topic, "A topic's file and the memories in it", Nothing, Reading, TopicText),
    Route(
        "DELETE",
        _ONE,
        forget,
        "Invalidate a topic's memories",
        Because,
        BecauseWriting,
        Invalidated,
        body_optional=True,
    ),
)

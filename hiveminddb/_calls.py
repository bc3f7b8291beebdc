"""The client without I/O: each function says what to ask the daemon and how to read its answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

from hiveminddb import _parse
from hiveminddb._message import (
    Call,
    Response,
    as_each,
    as_one,
    ask,
    only_given,
    quoted,
    send,
    with_query,
)
from hiveminddb.answers import (
    Added,
    Draft,
    FeedChange,
    Hits,
    Imported,
    ImportFile,
    Line,
    Page,
    TopicCount,
    TopicText,
    Written,
)
from hiveminddb.model import Memory, Topic, Version

Time = datetime | str
Mode = Literal["hybrid", "lexical", "vector"]
Ack = Literal["local", "auto", "quorum"]
Consistency = Literal["local", "linearizable"]


def _memory_path(id: str, *rest: str) -> str:
    return "/".join(("/memories", quoted(id, ""), *rest))


def _topic_path(topic: str) -> str:
    return "/topics/" + quoted(topic, "/")


def _draft(draft: Draft | str) -> dict[str, Any]:
    if isinstance(draft, str):
        return {"content": draft}
    values = {field.name: getattr(draft, field.name) for field in fields(draft)}
    return only_given(
        {name: value or None if name in ("tags", "metadata") else value for name, value in values.items()}
    )


def add(
    content: str,
    *,
    topic: str | None = None,
    memory_type: str | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    session_id: str | None = None,
    speaker: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    confidence: float | None = None,
    source: str | None = None,
    created_at: Time | None = None,
    valid_from: Time | None = None,
    valid_until: Time | None = None,
    ack: Ack | None = None,
) -> Call[Written]:
    """Adds a memory: durable and searchable when this returns.

    `ack` says what to wait for: "local", "quorum" (its place in the swarm's order), or "auto" (that, for a second).
    """
    body = only_given(locals())
    path = with_query("/memories", ack=body.pop("ack", None))
    return Call(send("POST", path, body), as_one(_parse.written))


def add_many(drafts: Iterable[Draft | str], *, wait_vectors: bool | None = None, ack: Ack | None = None) -> Call[Added]:
    """Adds memories in one transaction."""
    body = {"memories": [_draft(draft) for draft in drafts], **only_given({"wait_vectors": wait_vectors})}
    return Call(send("POST", with_query("/bulk/memories", ack=ack), body), as_one(_parse.added))


def get(id: str, *, consistency: Consistency | None = None) -> Call[Memory]:
    """One memory by its id or a unique prefix of four or more characters; invalidated ones too.

    `consistency="linearizable"` reads after all that was committed anywhere before the call.
    """
    return Call(ask(_memory_path(id), consistency=consistency), as_one(_parse.memory))


def page(
    *,
    limit: int | None = None,
    cursor: str | None = None,
    topic: str | None = None,
    tags: Sequence[str] | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    session_id: str | None = None,
    speaker: str | None = None,
    memory_type: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    include_invalidated: bool | None = None,
    consistency: Consistency | None = None,
) -> Call[Page]:
    """One page of memories, newest first; every filter given must hold."""
    query = dict(locals())
    return Call(ask("/memories", tag=query.pop("tags"), **query), _page)


def _page(response: Response) -> Page:
    total = response.headers.get("x-total-count")
    memories = as_each(_parse.memory)(response)
    return Page(memories, response.headers.get("x-next-cursor") or None, None if total is None else int(total))


def update(
    id: str,
    *,
    content: str | None = None,
    append: str | None = None,
    replace: tuple[str, str] | None = None,
    section: tuple[str, str] | None = None,
    topic: str | None = None,
    memory_type: str | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    session_id: str | None = None,
    speaker: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    confidence: float | None = None,
    source: str | None = None,
    valid_from: Time | None = None,
    valid_until: Time | None = None,
    reason: str | None = None,
    changed_by: str | None = None,
    version: int | None = None,
    clear: Sequence[str] = (),
    ack: Ack | None = None,
) -> Call[Written]:
    """Changes a memory: whole, by appending, replacing (old, new) once, or a section (heading, content).

    With `version`, raises Conflict if the memory has moved on from it; `clear` names optional fields to empty.
    """
    given = dict(locals())
    body = only_given({name: given[name] for name in given.keys() - {"id", "replace", "section", "clear", "ack"}})
    body.update(dict.fromkeys(clear))
    if replace is not None:
        body["replace"] = {"old": replace[0], "new": replace[1]}
    if section is not None:
        body["section"] = {"heading": section[0], "content": section[1]}
    return Call(send("PATCH", with_query(_memory_path(id), ack=ack), body), as_one(_parse.written))


def forget(
    id: str, *, reason: str | None = None, changed_by: str | None = None, ack: Ack | None = None
) -> Call[Written]:
    """Invalidates a memory: it leaves its file and the search, its history stays."""
    body = only_given({"reason": reason, "changed_by": changed_by})
    return Call(send("DELETE", with_query(_memory_path(id), ack=ack), body), as_one(_parse.written))


def restore(
    id: str, *, reason: str | None = None, changed_by: str | None = None, ack: Ack | None = None
) -> Call[Written]:
    """Brings an invalidated memory back."""
    body = only_given({"reason": reason, "changed_by": changed_by})
    return Call(send("POST", with_query(_memory_path(id, "restore"), ack=ack), body), as_one(_parse.written))


def history(id: str, *, consistency: Consistency | None = None) -> Call[list[Version]]:
    """Every version of a memory, oldest first."""
    return Call(ask(_memory_path(id, "history"), consistency=consistency), as_each(_parse.version))


def search(
    query: str,
    *,
    limit: int | None = None,
    topic: str | None = None,
    tags: Sequence[str] | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    session_id: str | None = None,
    speaker: str | None = None,
    memory_type: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    include_invalidated: bool | None = None,
    explain: bool | None = None,
    mode: Mode | None = None,
    consistency: Consistency | None = None,
) -> Call[Hits]:
    """The memories that answer a query best; any string is a legal query."""
    body = only_given(locals())
    path = with_query("/search", consistency=body.pop("consistency", None))
    return Call(send("POST", path, body), _hits)


def _hits(response: Response) -> Hits:
    return _with_mode(response, json.loads(response.body))


def _with_mode(response: Response, hits: Iterable[Mapping[str, Any]]) -> Hits:
    headers = response.headers
    return Hits((_parse.hit(one) for one in hits), headers.get("x-search-mode", ""), headers.get("x-search-note", ""))


def search_many(
    queries: Iterable[str | Mapping[str, Any]], *, consistency: Consistency | None = None
) -> Call[list[Hits]]:
    """The hits of each query; a query is a string or the arguments of `search` by name."""
    asked = [{"query": one} if isinstance(one, str) else only_given(one) for one in queries]
    return Call(
        send("POST", with_query("/search/bulk", consistency=consistency), {"queries": asked}),
        lambda response: [_with_mode(response, hits) for hits in json.loads(response.body)],
    )


def topics(*, consistency: Consistency | None = None) -> Call[list[Topic]]:
    """Every topic, by name."""
    return Call(ask("/topics", consistency=consistency), as_each(_parse.topic))


def topic(topic: str, *, consistency: Consistency | None = None) -> Call[TopicText]:
    """A topic's file as it is, and the memories in it."""
    return Call(ask(_topic_path(topic), consistency=consistency), as_one(_parse.topic_text))


def forget_topic(
    topic: str, *, reason: str | None = None, changed_by: str | None = None, ack: Ack | None = None
) -> Call[TopicCount]:
    """Invalidates every memory of a topic and removes its file."""
    body = only_given({"reason": reason, "changed_by": changed_by})
    return Call(send("DELETE", with_query(_topic_path(topic), ack=ack), body), as_one(_parse.invalidated))


def restore_topic(
    topic: str, *, reason: str | None = None, changed_by: str | None = None, ack: Ack | None = None
) -> Call[TopicCount]:
    """Brings a forgotten topic back."""
    body = only_given({"reason": reason, "changed_by": changed_by})
    path = with_query(_topic_path(topic) + "/restore", ack=ack)
    return Call(send("POST", path, body), as_one(_parse.restored))


def lines(keyword: str, *, consistency: Consistency | None = None) -> Call[list[Line]]:
    """Every line of the vault that contains the keyword, in any case."""
    return Call(ask("/lines", keyword=keyword, consistency=consistency), as_each(_parse.line))


def changes(
    *, after: int | None = None, limit: int | None = None, consistency: Consistency | None = None
) -> Call[list[FeedChange]]:
    """The change feed after a position, newest last."""
    return Call(ask("/changes", after=after, limit=limit, consistency=consistency), as_each(_parse.feed_change))


def import_files(files: Iterable[ImportFile], *, ack: Ack | None = None) -> Call[Imported]:
    """Takes markdown files in; a file whose topic exists is merged with it."""
    told = [{"path": file.path, "text": file.text} for file in files]
    return Call(send("POST", with_query("/import", ack=ack), {"files": told}), as_one(_parse.imported))

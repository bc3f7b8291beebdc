"""The tools an agent sees: agent-memory's five in its own words, then those for single memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "integer", "array"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as the schema tells it; `aliases` are other names models use for it."""

    name: str
    description: str
    kind: Kind = "string"
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, object]:
        schema: dict[str, object] = {"type": self.kind, "description": self.description}
        if self.kind == "array":
            schema["items"] = {"type": "string"}
        if self.choices:
            schema["enum"] = list(self.choices)
        return schema


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool; the first `required` parameters must be given."""

    name: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    required: int = 0
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False

    def schema(self) -> dict[str, object]:
        schema: dict[str, object] = {
            "type": "object",
            "properties": {one.name: one.schema() for one in self.parameters},
        }
        if self.required:
            schema["required"] = [one.name for one in self.parameters[: self.required]]
        return schema


_TOPIC = ("name", "title", "topic_name", "subject")
_CONTENT = ("text", "body", "memory", "note", "value")
_QUERY = ("q", "search", "question", "term", "phrase", "text")
_ID = ("memory_id", "identifier", "memory", "uuid")

_topic = Parameter("topic", "Topic, e.g. 'deploy-notes'", aliases=_TOPIC)
_id = Parameter("id", "Id of the memory, or its first 4+ characters", aliases=_ID)
_tags = Parameter("tags", "Tags", "array", ("tag", "labels"))
_reason = Parameter("reason", "Why", aliases=("why", "because", "comment"))
_user = Parameter("user_id", "User", aliases=("user",))
_session = Parameter("session_id", "Session", aliases=("session",))

TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "remember",
        "Store a memory under a topic. Appends to the topic's markdown file with a timestamp.",
        (
            Parameter("topic", "The topic or category name for this memory", aliases=_TOPIC),
            Parameter("content", "The content to remember", aliases=_CONTENT),
        ),
        required=2,
    ),
    ToolSpec(
        "recall",
        "Read all stored memories for a given topic",
        (Parameter("topic", "The topic name to recall memories for", aliases=(*_TOPIC, "query")),),
        required=1,
        read_only=True,
        idempotent=True,
    ),
    ToolSpec(
        "forget",
        "Delete all memories for a specific topic",
        (Parameter("topic", "The topic name to delete memories for", aliases=_TOPIC),),
        required=1,
        destructive=True,
        idempotent=True,
    ),
    ToolSpec(
        "search",
        "Search all stored memories for a keyword or phrase",
        (Parameter("keyword", "The keyword or phrase to search for", aliases=("query", *_QUERY)),),
        required=1,
        read_only=True,
        idempotent=True,
    ),
    ToolSpec("list_topics", "List all available memory topics", read_only=True, idempotent=True),
    ToolSpec(
        "memory_add",
        "Add one memory; returns its id.",
        (
            Parameter("content", "What to remember", aliases=_CONTENT),
            _topic,
            _tags,
            Parameter(
                "memory_type", "Kind", aliases=("type", "kind"), choices=("fact", "episodic", "procedural", "semantic")
            ),
            _user,
            _session,
            Parameter("created_at", "When it was so, ISO 8601; default now", aliases=("at", "date", "timestamp")),
            Parameter("ack", "quorum: answer once most machines have it", choices=("local", "auto", "quorum")),
        ),
        required=1,
    ),
    ToolSpec(
        "memory_search",
        "Find memories by words and by meaning, best first, with their ids.",
        (
            Parameter("query", "A question or some words", aliases=("keyword", *_QUERY)),
            Parameter("limit", "How many, default 10", "integer", ("n", "k", "top_k", "count", "max_results")),
            _topic,
            _tags,
            _user,
            Parameter("agent_id", "Agent", aliases=("agent",)),
            _session,
            Parameter("since", "Not older than, ISO 8601", aliases=("after", "from", "start")),
            Parameter("until", "Not younger than, ISO 8601", aliases=("before", "to", "end")),
            Parameter("consistency", "linearizable: all committed on any machine", choices=("local", "linearizable")),
        ),
        required=1,
        read_only=True,
        idempotent=True,
    ),
    ToolSpec(
        "memory_recall",
        "Read one memory by id, or all of a topic with their ids.",
        (_id, _topic),
        read_only=True,
        idempotent=True,
    ),
    ToolSpec(
        "memory_update",
        "Change a memory in one way: content (all of it), append, old + new (replace a passage), or heading + content "
        "(replace a section). topic moves it, tags replaces its tags.",
        (
            _id,
            Parameter("content", "New text, of all or of the section", aliases=("text", "body", "new_content")),
            Parameter("append", "Text to add at the end", aliases=("addition", "append_text")),
            Parameter(
                "old", "Passage to replace; must occur once", aliases=("old_string", "old_text", "old_str", "find")
            ),
            Parameter("new", "What takes its place", aliases=("new_string", "new_text", "new_str", "replacement")),
            Parameter("heading", "Section whose text to replace", aliases=("section", "section_heading")),
            _topic,
            _tags,
            _reason,
        ),
        required=1,
        destructive=True,
    ),
    ToolSpec(
        "memory_forget",
        "Forget one memory. Its history stays and a person can restore it.",
        (_id, _reason),
        required=1,
        destructive=True,
        idempotent=True,
    ),
    ToolSpec(
        "memory_history",
        "Every version of a memory: what changed, when, by whom, why.",
        (_id,),
        required=1,
        read_only=True,
        idempotent=True,
    ),
)

BY_NAME: Mapping[str, ToolSpec] = {tool.name: tool for tool in TOOLS}

"""The bridge as agents use it: the official client over stdio, a real daemon behind it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from hiveminddb.cli.mcp_tools import TOOLS
from tests.cli.place import Place
from tests.waiting import wait_until

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
OLD_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@asynccontextmanager
async def agent(place: Place, mode: Any = "auto", **more: str) -> AsyncIterator[Client]:
    command, *words = place.command("mcp")
    server = StdioServerParameters(command=command, args=words, env=place.environment(**more), cwd=place.folder)
    async with Client(server, mode=mode) as client:
        yield client


async def told(client: Client, tool: str, **arguments: Any) -> str:
    """The text of a successful call."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return text(result)


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return text(result)


def text(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.anyio
async def test_agent_memorys_five_tools_answer_in_its_own_words(place: Place) -> None:
    async with agent(place) as client:
        assert await told(client, "list_topics") == f"No memory topics found in {place.vault}."
        assert await told(client, "recall", topic="x") == "No memories found for topic 'x'."
        assert await told(client, "forget", topic="x") == "No memories found for topic 'x' — nothing to delete."
        assert await told(client, "search", keyword="Zebra") == "No memories found containing 'zebra'."

        stored = await told(client, "remember", topic="Deploy Notes", content="We deploy on FRIDAYS\nand rest")
        file = place.vault / "deploy-notes.md"
        assert re.fullmatch(
            rf"Memory stored under topic 'Deploy Notes' at {STAMP}\.\nFile: {re.escape(str(file))}", stored
        )
        wait_until(file.exists)
        recalled = await told(client, "recall", topic="Deploy Notes")
        assert recalled == f"Memories for topic 'Deploy Notes':\n\n{file.read_text()}"
        assert await told(client, "search", keyword="Fridays") == (
            "Search results for 'fridays':\n\n\n### Topic: deploy-notes\n  Line 5: We deploy on FRIDAYS"
        )
        line = rf"  - deploy-notes  \({file.stat().st_size} bytes, last modified {STAMP}\)"
        listed = await told(client, "list_topics")
        assert re.fullmatch(rf"Available memory topics \(1 total\):\n\n{line}", listed)
        gone = await told(client, "forget", topic="Deploy Notes")
        assert gone == "All memories for topic 'Deploy Notes' have been deleted."
        wait_until(lambda: not file.exists())


@pytest.mark.anyio
async def test_a_blank_file_exists_but_holds_nothing(home: Place) -> None:
    (home.vault / "blank.md").write_text("\n\n")
    async with agent(home) as client:
        result = ""
        for _ in range(200):
            result = await told(client, "recall", topic="blank")
            if "exists" in result:
                break
        assert result == "Topic 'blank' exists but contains no memories."


@pytest.mark.anyio
async def test_search_adds_what_other_words_find(home: Place) -> None:
    async with agent(home) as client:
        await told(client, "remember", topic="running", content="she runs every morning")
        result = await told(client, "search", keyword="runs running mornings")
        assert result == (
            "Search results for 'runs running mornings':\n\n\nRelated by meaning:\n\n### Topic: running\n"
            "  Line 5: she runs every morning"
        )
        await told(client, "remember", topic="running", content="she runs every morning")
        both = await told(client, "search", keyword="runs running mornings")
        assert sorted(both.splitlines()[-2:]) == [f"  Line {line}: she runs every morning" for line in (5, 9)]


@pytest.mark.anyio
async def test_a_memory_is_added_found_changed_forgotten_and_remembered_in_its_history(home: Place) -> None:
    async with agent(home, HIVEMIND_AGENT="coder", HIVEMIND_USER="ann") as client:
        added = await told(
            client, "memory_add", content="# Plan\n\nship it\n\n# Risks\n\nnone", topic="plans", tags=["p"]
        )
        [id] = re.findall(r"memory ([a-z2-7]{20}) ", added)
        found = await told(client, "memory_search", query="ship plan", limit="5")
        assert id in found and "ship it" in found and "agent: coder" in found and "user: ann" in found

        await told(client, "memory_update", id=id, append="the end")
        await told(client, "memory_update", memory_id=id, old_string="ship it", new_string="ship it soon")
        await told(client, "memory_update", id=id, heading="Risks", content="some", reason="found one")
        recalled = await told(client, "memory_recall", id=id[:6])
        assert "ship it soon" in recalled and "some" in recalled and "none" not in recalled
        assert id in await told(client, "memory_recall", topic="plans")

        await told(client, "memory_forget", id=id, reason="done")
        history = await told(client, "memory_history", id=id)
        for word in ("version 1: add", "update", "found one", "by coder", "done"):
            assert word in history, history


@pytest.mark.anyio
async def test_errors_tell_the_model_what_to_do(home: Place) -> None:
    async with agent(home) as client:
        assert "call remember(topic, content)" in await refused(client, "remember", topic="x", contents="y")
        assert "`content`" in await refused(client, "remember", topic="x")
        assert "memory_search finds ids" in await refused(client, "memory_recall", id="zzzz")
        assert "either `id` or `topic`" in await refused(client, "memory_recall")
        assert "one way at a time" in await refused(client, "memory_update", id="zzzz", content="a", append="b")
        assert "nothing to change" in await refused(client, "memory_update", id="zzzz")
        id = re.findall(r"[a-z2-7]{20}", await told(client, "memory_add", content="twice twice", topic="errors"))[0]
        assert "2" in await refused(client, "memory_update", id=id, old="twice", new="once")
        assert "memory_search" in await refused(client, "no_such_tool")


@pytest.mark.anyio
async def test_the_tools_are_small_and_annotated(home: Place) -> None:
    async with agent(home) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [tool.name for tool in TOOLS]
    size = len(json.dumps([tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools]))
    print(f"tools/list: {size} bytes")
    assert size < 8_000
    by_name = {tool.name: tool for tool in tools}
    assert list(by_name["remember"].input_schema["properties"]) == ["topic", "content"]
    assert by_name["remember"].input_schema["required"] == ["topic", "content"]
    for name in ("recall", "search", "list_topics", "memory_search", "memory_recall", "memory_history"):
        annotations = by_name[name].annotations
        assert annotations is not None and annotations.read_only_hint, name
    for name in ("forget", "memory_forget", "memory_update"):
        annotations = by_name[name].annotations
        assert annotations is not None and annotations.destructive_hint and not annotations.read_only_hint, name


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_official_client_is_served_in_every_mode(home: Place, mode: str) -> None:
    async with agent(home, mode) as client:
        await told(client, "remember", topic="modes", content=f"said in {mode}")
        assert f"said in {mode}" in await told(client, "recall", topic="modes")


class Wire:
    """MCP by hand, for versions the official client no longer offers by itself."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> Any:
        self.send(id=1, method=method, params=params)
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())["result"]

    def initialize(self, version: str) -> Any:
        info = {"name": "test", "version": "1"}
        result = self.ask("initialize", protocolVersion=version, capabilities={}, clientInfo=info)
        self.send(method="notifications/initialized")
        return result


@contextmanager
def wire(place: Place, **more: str) -> Iterator[Wire]:
    pipe = subprocess.PIPE
    with subprocess.Popen(place.command("mcp"), env=place.environment(**more), stdin=pipe, stdout=pipe) as process:
        yield Wire(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_old_protocol_versions_are_spoken(home: Place, version: str) -> None:
    with wire(home) as server:
        assert server.initialize(version)["protocolVersion"] == version
        assert len(server.ask("tools/list")["tools"]) == len(TOOLS)
        called = server.ask("tools/call", name="remember", arguments={"topic": "old", "content": version})
        assert not called["isError"]
        assert version in server.ask("tools/call", name="recall", arguments={"topic": "old"})["content"][0]["text"]


def test_initialize_is_answered_before_any_daemon_runs(place: Place) -> None:
    # A data folder that is a file: no daemon can start there, the bridge still answers and says why.
    place.data.write_text("in the way")
    with wire(place) as server:
        assert server.initialize("2025-06-18")["serverInfo"]["name"] == "hiveminddb"
        called = server.ask("tools/call", name="list_topics", arguments={})
    assert called["isError"] and "What to do" in called["content"][0]["text"]


def test_a_daemon_that_died_is_started_again(place: Place) -> None:
    with wire(place) as server:
        server.initialize("2025-06-18")
        arguments = {"topic": "t", "content": "before"}
        assert not server.ask("tools/call", name="remember", arguments=arguments)["isError"]
        place.hmd("down")
        assert "before" in server.ask("tools/call", name="recall", arguments={"topic": "t"})["content"][0]["text"]


def test_a_daemon_elsewhere_is_not_started_here(place: Place) -> None:
    with wire(place, HIVEMIND_URL="http://127.0.0.1:1") as server:
        server.initialize("2025-06-18")
        called = server.ask("tools/call", name="list_topics", arguments={})
    assert called["isError"] and not place.data.exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_the_bridge_stays_small(home: Place) -> None:
    with wire(home) as server:
        server.initialize("2025-06-18")
        for topic in ("a", "b", "c"):
            server.ask("tools/call", name="remember", arguments={"topic": topic, "content": "x" * 1000})
            server.ask("tools/call", name="search", arguments={"keyword": "x"})
        pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    print(f"bridge: {megabytes:.0f} MB")
    assert megabytes < 80

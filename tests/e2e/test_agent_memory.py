"""The original agent-memory server at work in the same folder at the same time."""

from __future__ import annotations

from hiveminddb import HiveMind
from hiveminddb.errors import NotFound
from tests.cli.place import Place
from tests.e2e.agent_memory import AgentMemory
from tests.waiting import wait_until


def contents(mind: HiveMind, topic: str) -> list[str]:
    try:
        return [memory.content for memory in mind.topic(topic).memories]
    except NotFound:
        return []


def test_what_either_remembers_the_other_recalls(place: Place, mind: HiveMind) -> None:
    other = AgentMemory(place.vault)
    other.remember("Project Notes", "by the original")
    wait_until(lambda: contents(mind, "Project Notes") == ["by the original"])
    mind.add("by the daemon", topic="Project Notes")
    wait_until(lambda: "by the daemon" in other.recall("Project Notes"))
    other.remember("Project Notes", "by the original again")
    expected = ["by the original", "by the daemon", "by the original again"]
    wait_until(lambda: contents(mind, "Project Notes") == expected)
    assert other.list_topics() == ["project-notes"]
    assert other.recall("project notes").count("# Project Notes\n") == 1


def test_both_write_as_fast_as_they_can_and_every_memory_is_there_once(place: Place, mind: HiveMind) -> None:
    other = AgentMemory(place.vault)
    for number in range(100):
        other.remember("busy", f"original {number}.")
        mind.add(f"daemon {number}.", topic="busy")
    wanted = {f"{who} {number}." for who in ("original", "daemon") for number in range(100)}
    wait_until(lambda: set(contents(mind, "busy")) == wanted and len(contents(mind, "busy")) == len(wanted))
    wait_until(lambda: mind.topic("busy").text == other.recall("busy"))
    text = other.recall("busy")
    assert all(text.count(f"\n{content}\n") == 1 for content in wanted)


def test_forgetting_on_either_side_removes_the_file_and_can_be_undone(place: Place, mind: HiveMind) -> None:
    other = AgentMemory(place.vault)
    other.remember("gone", "one")
    other.remember("gone", "two")
    wait_until(lambda: contents(mind, "gone") == ["one", "two"])
    before = other.recall("gone")
    other.forget("gone")
    wait_until(lambda: contents(mind, "gone") == [])
    mind.restore_topic("gone")
    wait_until(lambda: other.list_topics() == ["gone"])
    assert other.recall("gone") == before
    mind.forget_topic("gone")
    wait_until(lambda: other.list_topics() == [])


def test_what_it_wrote_while_no_daemon_ran_is_there_at_the_next_start(place: Place, mind: HiveMind) -> None:
    other = AgentMemory(place.vault)
    other.remember("kept", "before")
    wait_until(lambda: contents(mind, "kept") == ["before"])
    place.hmd("down")
    other.remember("kept", "while it was down")
    other.remember("new", "also while it was down")
    place.hmd("up")
    wait_until(lambda: contents(mind, "kept") == ["before", "while it was down"])
    wait_until(lambda: contents(mind, "new") == ["also while it was down"])

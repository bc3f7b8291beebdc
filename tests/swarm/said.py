"""What tests ask of machines, in few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from bench.hands.world import quoted
from bench.lab.machine import Machine, Refusal
from bench.lab.swarm import settle
from tests.waiting import wait_until

T = TypeVar("T")


def add(machine: Machine, content: str, topic: str = "notes", ack: str = "auto") -> str:
    """The id of a new memory."""
    return str(machine.ask("POST", f"/memories?ack={ack}", {"content": content, "topic": topic})["id"])


def contents(machine: Machine, topic: str = "notes") -> list[str]:
    """What stands in a topic, in the order of the file."""
    try:
        return [memory["content"] for memory in machine.ask("GET", f"/topics/{quoted(topic)}")["memories"]]
    except Refusal:
        return []


def memories(machine: Machine) -> dict[str, Mapping[str, Any]]:
    """Up to a hundred memories by id, invalidated ones too, with every field."""
    page = machine.ask("GET", "/memories?limit=100&include_invalidated=true")
    return {memory["id"]: memory for memory in page}


def files(machine: Machine) -> dict[str, bytes]:
    """The vault."""
    found = {}
    for path in machine.vault.rglob("*.md"):
        # One that has just been renamed is looked for again.
        with suppress(FileNotFoundError):
            if ".hivemind" not in path.parts:
                found[path.relative_to(machine.vault).as_posix()] = path.read_bytes()
    return found


def assert_same(machines: Sequence[Machine]) -> None:
    """Every machine comes to rest with the same memories, files and order."""
    reason = settle(machines, 180)
    assert not reason, reason
    first = machines[0]
    feed = [{**entry, "n": 0} for entry in first.ask("GET", "/changes?limit=1000")]
    feed.sort(key=lambda entry: entry["seq"])
    assert [entry["seq"] for entry in feed] == list(range(1, len(feed) + 1))
    for other in machines[1:]:
        assert memories(other) == memories(first)
        assert files(other) == files(first)
        theirs = [{**entry, "n": 0} for entry in other.ask("GET", "/changes?limit=1000")]
        assert sorted(theirs, key=lambda entry: entry["seq"]) == feed


def decided(ask: Callable[[], T]) -> T:
    """The answer; a swarm that cannot decide just now is asked again."""
    answers: list[T] = []

    def answered() -> bool:
        try:
            answers.append(ask())
        except Refusal as refusal:
            if refusal.status != 503:
                raise
            return False
        return True

    wait_until(answered)
    return answers[0]

"""What must be true when the dust has settled, seen from outside: files, API, and what the writers know they did."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bench.hands.ledger import tokens_in
from bench.hands.world import Refused, World, quoted

# Shorter than the mirror's full comparison, which would hide a lost event.
SETTLED_WITHIN = 45.0
QUIET = 2.0
SHOWN = 100


def check(world: World, exact: Mapping[str, bytes], shared: set[str]) -> list[str]:
    """Everything that is not as it must be, once nothing moves any more."""
    found = _settled(world, exact, shared)
    if found:
        return found + world.ledger.problems
    found += list(_history(world))
    before = _everything(world)
    world.ask("POST", "/doctor", {"rebuild": True})
    after = _everything(world)
    different = [name for name in before if before[name] != after[name]]
    found += [f"a rebuild changed {name}: {difference(before[name], after[name])}" for name in different]
    checks = world.ask("POST", "/doctor", {})
    found += [f"doctor: {it['check']}: {it['message']}" for it in checks if not it["ok"]]
    found += list(_outside(world, exact, shared))
    return found + world.ledger.problems


def _settled(world: World, exact: Mapping[str, bytes], shared: set[str]) -> list[str]:
    end, quiet_since, last = time.monotonic() + SETTLED_WITHIN, time.monotonic(), -1
    while True:
        status = world.ask("GET", "/status")
        if status["vault"]["state"] != "mirrored":
            return [f"the vault has stopped: {status['vault']['reason']}"]
        if status["changes"] != last or status["pending"]["mirror"]:
            last, quiet_since = status["changes"], time.monotonic()
        is_quiet = time.monotonic() - quiet_since >= QUIET
        found = list(_outside(world, exact, shared)) if is_quiet else ["never quiet"]
        if status["vault"]["reason"]:
            found.append(f"left alone: {status['vault']['reason']}")
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.2)


def _outside(world: World, exact: Mapping[str, bytes], shared: set[str]) -> Iterator[str]:
    """Files against what was saved, against what the daemon says, and word by word."""
    files = files_of(world)
    for name, data in exact.items():
        if files.get(name) != data:
            yield f"{name} is not as it was saved: {difference(data, files.get(name))}"
    yield from (f"a file that nobody made: {name}" for name in files.keys() - exact.keys() - shared)
    held = list((world.vault / ".hivemind" / "swap").glob("*"))
    if held:
        yield f"{len(held)} replaced files are still held: {held[0].name}"
    yield from _topics(world, files)
    yield from _words(world, files)


def files_of(world: World) -> dict[str, bytes]:
    """Every file of a vault but the daemon's own, by its path there."""
    return {
        str(path.relative_to(world.vault)): path.read_bytes()
        for path in world.vault.rglob("*")
        if path.is_file() and ".hivemind" not in path.parts
    }


def words_of(files: Mapping[str, bytes]) -> set[str]:
    """The unique words that stand in some file."""
    return {token for data in files.values() for token in tokens_in(data.decode(errors="replace"))}


def _topics(world: World, files: Mapping[str, bytes]) -> Iterator[str]:
    told = {topic["file"] for topic in world.ask("GET", "/topics")}
    blank = {name for name, data in files.items() if not data.strip(b"\xef\xbb\xbf \t\r\n")}
    yield from (f"a topic without a file: {name}" for name in told - files.keys())
    yield from (f"a file without a topic: {name}" for name in files.keys() - told - blank)
    for name in told & files.keys():
        try:
            text = world.ask("GET", f"/topics/{quoted(name.removesuffix('.md'))}")["text"]
        except Refused as refused:
            yield str(refused)
        else:
            if text.encode() != files[name]:
                yield f"{name}: file and documents differ: {difference(files[name], text.encode())}"


def _words(world: World, files: Mapping[str, bytes]) -> Iterator[str]:
    counted: Counter[str] = Counter()
    where: dict[str, str] = {}
    for name, data in files.items():
        found = tokens_in(data.decode(errors="replace"))
        counted.update(found)
        where.update(dict.fromkeys(found, name))
    for token, topic in world.ledger.expected().items():
        if not counted[token]:
            yield f"lost: {token} written to {topic}"
    yield from (f"doubled: {token} in {where[token]}" for token, count in counted.items() if count > 1)
    lines = world.ask("GET", "/lines?keyword=tk00")
    known = {token for line in lines for token in tokens_in(line["content"])}
    if len(lines) < 2000:
        yield from (f"not found by its line: {token}" for token in counted.keys() - known if token.startswith("tk00"))


def _history(world: World) -> Iterator[str]:
    """Every word that was shown is in some version, or in a file; each acknowledged add is as it was or was removed."""
    ledger = world.ledger
    versions: set[str] = set()
    living: dict[str, Mapping[str, Any]] = {}
    for memory in _memories(world):
        living[memory["id"]] = memory
        for version in world.ask("GET", f"/memories/{memory['id']}/history"):
            versions.update(tokens_in(version["new_content"]))
    # What was above the first entry is listed while it has words; its history stays.
    for id in _documents(world) - living.keys():
        for version in world.ask("GET", f"/memories/{id}/history"):
            versions.update(tokens_in(version["new_content"]))
    for id, add in ledger.adds.items():
        first = world.ask("GET", f"/memories/{id}/history")[0]
        if first["new_content"] != add.content:
            yield f"the first version of {id} is not what was added: {first['new_content']!r} {add.content!r}"
        memory, tokens = living[id], tokens_in(add.content)
        if memory["invalidated_at"]:
            if not ledger.removed.union(ledger.maybe).intersection(tokens):
                yield f"{id} in {add.topic} was invalidated by nobody: {memory['invalidated_reason']} {add.content!r}"
        elif memory["content"] != add.content and not (
            ledger.changed.union(ledger.maybe, ledger.removed).intersection(tokens)
            or ledger.strayed.intersection(tokens_in(memory["content"]))
        ):
            yield f"{id} in {memory['topic']} was changed by nobody: {add.content!r} -> {memory['content']!r}"
    # Front matter is no part of a memory's content.
    shown = (ledger.seen | ledger.expected().keys()) - ledger.maybe - versions - words_of(files_of(world))
    yield from (f"in no version and no file: {token}" for token in shown)


def _memories(world: World) -> Iterator[Mapping[str, Any]]:
    """Every memory, invalidated ones too."""
    following = ""
    while True:
        page, cursor = world.page("GET", f"/memories?limit=100&include_invalidated=true{following}")
        yield from page
        if not cursor:
            return
        following = f"&cursor={quoted(cursor)}"


def _documents(world: World) -> set[str]:
    """Whatever the feed of changes names."""
    found: set[str] = set()
    after = 0
    while page := world.ask("GET", f"/changes?after={after}&limit=1000"):
        found.update(change["document"] for change in page if change["topic"] is not None)
        after = page[-1]["n"]
    return found


def _everything(world: World) -> dict[str, Any]:
    memories = sorted(_memories(world), key=lambda memory: str(memory["id"]))
    topics = world.ask("GET", "/topics")
    texts = {it["topic"]: world.ask("GET", f"/topics/{quoted(it['topic'])}")["text"] for it in topics}
    lines = {word: world.ask("GET", f"/lines?keyword={word}") for word in ("billing", "tk0000", "queue")}
    return {"memories": memories, "topics": topics, "texts": texts, "lines": lines}


def difference(a: object, b: object) -> str:
    """Where two values begin to differ."""
    if isinstance(a, list) and isinstance(b, list):
        found = next(((x, y) for x, y in zip(a, b, strict=False) if x != y), (len(a), len(b)))
        return f"{found[0]!r} | {found[1]!r}"
    left, right = (it if isinstance(it, (bytes, str)) else json.dumps(it) for it in (a, b))
    if isinstance(left, bytes) and isinstance(right, bytes):
        at = next((i for i, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right)))
        start = max(0, at - 40)
        return f"at {at} of {len(left)}/{len(right)}: {left[start : at + 120]!r} | {right[start : at + 120]!r}"
    return f"{str(left)[:200]} | {str(right)[:200]}"

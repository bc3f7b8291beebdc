"""What must be true of a swarm once nothing moves any more, seen from outside."""

from __future__ import annotations

import concurrent.futures
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.hands.check import difference, files_of, words_of
from bench.hands.ledger import tokens_in
from bench.hands.world import Down, Refused, quoted
from bench.lab.swarm import consensus_of, settle
from bench.torture_swarm.crew import Crew, MachineWorld, memories_of

# An hour of faults leaves tens of thousands of changes to be sent.
SETTLED_WITHIN = 600.0
HISTORIES = 400
# A rebuild of what an hour has made takes minutes.
DOCTOR_SECONDS = 1800.0
REBUILT = 2
PAGE = 100
BLANK = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True)
class Node:
    """Everything one node says, and everything in its files."""

    name: str
    memories: Mapping[str, Mapping[str, Any]]
    topics: Mapping[str, Mapping[str, Any]]
    texts: Mapping[str, str]
    files: Mapping[str, bytes]
    feed: Sequence[Mapping[str, Any]]


def check(crew: Crew, exact: Mapping[str, bytes], chance: random.Random) -> list[str]:
    """Everything that is not as it must be."""
    machines = [world.machine for world in crew.worlds]
    if reason := settle(machines, SETTLED_WITHIN):
        return [f"the swarm did not come to rest: {reason}", *_unsettled(crew)]
    with concurrent.futures.ThreadPoolExecutor(len(machines)) as pool:
        nodes = list(pool.map(told_by, crew.worlds))
    found = [
        *_same(nodes),
        *_ordered(nodes, crew),
        *_files(nodes[0], exact),
        *_kept(crew, nodes[0]),
        *_histories(crew, nodes[0], chance),
    ]
    found += [line for world in crew.worlds for line in _doctored(world)]
    rebuilt = chance.sample(list(crew.worlds), min(REBUILT, len(crew.worlds)))
    return found + [line for world in rebuilt for line in _rebuilt(world)]


def told_by(world: MachineWorld) -> Node:
    topics = {topic["topic"]: topic for topic in world.ask("GET", "/topics")}
    texts = {name: world.ask("GET", f"/topics/{quoted(name)}")["text"] for name in topics}
    memories = {memory["id"]: memory for memory in memories_of(world)}
    return Node(world.machine.name, memories, topics, texts, files_of(world), list(feed_of(world)))


def feed_of(world: MachineWorld) -> Iterator[Mapping[str, Any]]:
    """The whole change feed, as the node gives it."""
    after = 0
    while page := world.ask("GET", f"/changes?after={after}&limit={PAGE}"):
        yield from page
        after = page[-1]["n"]


# -- I2: the same changes, the same everything


def _same(nodes: Sequence[Node]) -> Iterator[str]:
    first = nodes[0]
    for other in nodes[1:]:
        pair = f"{first.name} and {other.name}"
        yield from _differing(f"memory on {pair}", first.memories, other.memories)
        yield from _differing(f"topic on {pair}", first.topics, other.topics)
        yield from _differing(f"text on {pair}", first.texts, other.texts)
        yield from _differing(f"file on {pair}", _not_blank(first.files), _not_blank(other.files))


def _differing(what: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        f"{what}: {key} is on the first alone: {str(one[key])[:300]}" for key in sorted(one.keys() - other.keys())
    )
    yield from (
        f"{what}: {key} is on the second alone: {str(other[key])[:300]}" for key in sorted(other.keys() - one.keys())
    )
    for key in sorted(one.keys() & other.keys()):
        a, b = one[key], other[key]
        if a == b:
            continue
        if isinstance(a, Mapping):
            fields = {name: (a.get(name), b.get(name)) for name in a.keys() | b.keys() if a.get(name) != b.get(name)}
            yield f"{what}: {key} differs in {fields}"
        else:
            yield f"{what}: {key} differs {difference(a, b)}"


def _not_blank(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A file without a text is nobody's memory, and stays where it was made."""
    return {name: data for name, data in files.items() if data.strip(BLANK)}


def _files(node: Node, exact: Mapping[str, bytes]) -> Iterator[str]:
    files = _not_blank(node.files)
    told = {topic["file"]: name for name, topic in node.topics.items() if node.texts[name].encode().strip(BLANK)}
    yield from (f"a topic without a file on {node.name}: {name}" for name in told.keys() - files.keys())
    yield from (f"a file without a topic on {node.name}: {name}" for name in files.keys() - told.keys())
    for name in told.keys() & files.keys():
        if (text := node.texts[told[name]].encode()) != files[name]:
            yield f"{name} on {node.name}: file and documents differ: {difference(files[name], text)}"
    for name, data in exact.items():
        if data.strip(BLANK) and files.get(name) != data:
            yield f"{name} is not as it was saved: {difference(data, files.get(name))}"


# -- I3: one order


def _ordered(nodes: Sequence[Node], crew: Crew) -> Iterator[str]:
    orders = []
    for node in nodes:
        committed = sorted((entry for entry in node.feed if entry["seq"] is not None), key=lambda entry: entry["seq"])
        seqs = [entry["seq"] for entry in committed]
        if seqs != list(range(1, len(seqs) + 1)):
            odd = next((i, seq) for i, seq in enumerate(seqs, 1) if i != seq)
            yield f"the order on {node.name} has a gap or a repeat: position {odd[0]} is {odd[1]}, of {len(seqs)}"
        pending = [entry for entry in node.feed if entry["seq"] is None]
        if pending:
            yield f"{len(pending)} changes on {node.name} have no place in the order: {pending[0]}"
        orders.append({entry["seq"]: {k: v for k, v in entry.items() if k != "n"} for entry in committed})
    for node, order in zip(nodes[1:], orders[1:], strict=True):
        yield from _differing(
            f"place in the order of {nodes[0].name} and {node.name}", _keyed(orders[0]), _keyed(order)
        )
    consensus = consensus_of(crew.worlds[0].machine)
    for commit in [commit for commit in crew.commits if commit.consensus == consensus]:
        entry = orders[0].get(commit.seq)
        if entry is None or entry["document"] != commit.document:
            yield f"{commit.document} was answered position {commit.seq} on {commit.machine}, which is {entry}"


def _keyed(order: Mapping[int, Any]) -> dict[str, Any]:
    return {f"{seq:08d}": entry for seq, entry in order.items()}


# -- I1: nothing lost


def _kept(crew: Crew, node: Node) -> Iterator[str]:
    """Words in files or in what somebody removed; memories by id; tags."""
    ledger = crew.worlds[0].ledger
    counted: Counter[str] = Counter()
    where: dict[str, str] = {}
    for name, data in node.files.items():
        found = tokens_in(data.decode(errors="replace"))
        counted.update(found)
        where.update(dict.fromkeys(found, name))
    removed_along = _removed_along(ledger.removed | ledger.maybe, node)
    for token, topic in ledger.expected().items():
        if not counted[token] and token not in removed_along:
            yield f"lost: {token} written to {topic}; {_whereabouts(token, node)}"
    doubled = [token for token, count in counted.items() if count > 1 and token not in ledger.forked]
    yield from (f"doubled: {token} in {where[token]}" for token in doubled)
    for id, add in ledger.adds.items():
        if id not in node.memories:
            yield f"lost: memory {id} in {add.topic}: {add.content!r}"
    for id, tags in crew.tags.items():
        if missing := tags - set(node.memories[id]["tags"]):
            yield f"tags lost from {id}: {sorted(missing)}"


def _removed_along(removed: set[str], node: Node) -> set[str]:
    """Words written into a memory that somebody else removed meanwhile: they are in it, and it can be restored."""
    gone = (memory for memory in node.memories.values() if memory["invalidated_at"])
    return {token for memory in gone if removed.intersection(found := tokens_in(memory["content"])) for token in found}


def _whereabouts(token: str, node: Node) -> str:
    found = [memory for memory in node.memories.values() if token in memory["content"]]
    return f"in {[(it['id'], it['topic'], it['invalidated_at'], it['invalidated_reason']) for it in found]}"


def _histories(crew: Crew, node: Node, chance: random.Random) -> Iterator[str]:
    """The same on all nodes; they begin with what was added, and hold every word that was ever shown."""
    world, ledger = crew.worlds[0], crew.worlds[0].ledger
    versions: set[str] = set()
    for id, memory in node.memories.items():
        if memory["version"] > 1 or id in ledger.adds:
            history = world.ask("GET", f"/memories/{id}/history")
            versions.update(token for version in history for token in tokens_in(version["new_content"]))
            if id in ledger.adds and history[0]["new_content"] != ledger.adds[id].content:
                yield f"the first version of {id} is not what was added: {history[0]} {ledger.adds[id].content!r}"
        versions.update(tokens_in(memory["content"]))
    # What stood in a file whose text is blank now is in no list, but its history is told.
    for id in {change["document"] for change in node.feed} - node.memories.keys():
        history = world.ask("GET", f"/memories/{id}/history")
        versions.update(token for version in history for token in tokens_in(version["new_content"]))
    # Front matter is no part of a memory's content.
    shown = (ledger.seen | ledger.expected().keys()) - ledger.maybe - versions - words_of(node.files)
    yield from (f"in no version and no file: {token}" for token in sorted(shown))
    changed = [id for id, memory in node.memories.items() if memory["version"] > 1]
    for id in chance.sample(changed, min(HISTORIES, len(changed))):
        told = [other.ask("GET", f"/memories/{id}/history") for other in crew.worlds]
        for other, history in zip(crew.worlds[1:], told[1:], strict=True):
            if history != told[0]:
                yield f"history of {id} on {world.machine.name}, {other.machine.name}: {difference(told[0], history)}"


# -- a node by itself


def _doctored(world: MachineWorld, rebuild: bool = False) -> Iterator[str]:
    try:
        told = world.machine.ask("POST", "/doctor", {"rebuild": rebuild}, seconds=DOCTOR_SECONDS)
    except (Down, Refused) as error:
        yield f"the doctor did not come: {error}"
        return
    for it in told:
        if not it["ok"] and it["check"] != "disk":
            yield f"doctor on {world.machine.name}: {it['check']}: {it['message']}"


def _rebuilt(world: MachineWorld) -> Iterator[str]:
    name, before = world.machine.name, told_by(world)
    yield from _doctored(world, rebuild=True)
    after = told_by(world)
    yield from _differing(f"memory before and after a rebuild on {name}", before.memories, after.memories)
    yield from _differing(f"topic before and after a rebuild on {name}", before.topics, after.topics)
    yield from _differing(f"text before and after a rebuild on {name}", before.texts, after.texts)
    yield from _differing(f"feed before and after a rebuild on {name}", _by_n(before.feed), _by_n(after.feed))


def _by_n(feed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{entry['n']:08d}": entry for entry in feed}


def _unsettled(crew: Crew) -> Iterator[str]:
    """Who says what, where the swarm does not come to rest."""
    for world in crew.worlds:
        for path in ("/swarm", "/status"):
            try:
                yield f"{world.machine.name}{path}: {world.machine.ask('GET', path)}"
            except Refused as refused:
                yield str(refused)
            except Exception as error:
                yield f"{world.machine.name}{path}: {error!r}"

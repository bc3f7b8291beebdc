"""Nodes that do what they like, apart, and hear of each other in any order: in the end all are the same."""

from __future__ import annotations

import random
from contextlib import ExitStack
from itertools import zip_longest
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from pycrdt import Doc, Map

from hiveminddb.model import Change, DocumentId, NodeId
from hiveminddb.sync import document
from hiveminddb.sync.clock import pack
from tests.daemon.island import Island, agree, islands, meet

TOPICS = ("notes", "projects/x")
NAMES = ("a", "b", "c")
NODES = st.sampled_from(range(len(NAMES)))
TOPIC = st.sampled_from(TOPICS)
# Ids and times differ from run to run: what is drawn must not depend on them.
SEED = st.integers(0, 1 << 30)

HEADS = ("# notes\n\n", "# Notes\n\n", "---\ntags: [x]\nuser: ann\n---\n# My notes\n\n", "")
ODD: list[dict[str, Any]] = [
    {"topic": 5}, {"topic": "../escape"}, {"topic": "a\x00b"}, {"topic": None}, {"topic": "/etc/passwd"},
    {"position": "!"}, {"position": ["a0"]}, {"position": None}, {"role": 7}, {"": 5}, {"": {"topic": "notes"}},
    {"invalidated": 7}, {"invalidated": {"at": 1}}, {"created_at": 1e300}, {"created_at": "x"}, {"valid_from": True},
    {"confidence": float("nan")}, {"confidence": "high"}, {"memory_type": [1]}, {"tags:": 1}, {"meta:k": "no json"},
    {"meta:k": '"\\ud800"'}, {"meta:k": "[" * 5000}, {"user_id": {"x": 1}}, {"born:": 3},
]  # fmt: skip


def without_beginning(state: bytes) -> bytes:
    """The update that takes away what made the document."""
    doc: Doc[Any] = Doc()
    values = doc.get("fields", type=Map)
    doc.apply_update(state)
    before = doc.get_state()
    if "" in values:
        del values[""]
    return doc.get_update(before)


class Islands(RuleBasedStateMachine):
    most_evil = 4

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.nodes: list[Island] = self.stack.enter_context(islands(*NAMES))
        self.written: set[str] = set()
        self.evil = 0

    def teardown(self) -> None:
        if not hasattr(self, "stack"):
            return
        with self.stack:
            meet(self.nodes)
            agree(self.nodes)
            said = self.nodes[0].all_texts()
            # A member that sends nonsense may hide a word in no step of a history; all nodes agree nevertheless.
            assert self.evil or not [word for word in self.written if word not in said]

    def word(self) -> str:
        word = f"w{len(self.written)}x"
        self.written.add(word)
        return word

    def some_row(self, node: int, chance: random.Random, where: str = "invalidated_at IS NULL") -> str | None:
        ids = [
            id for (id,) in self.nodes[node].connection.execute(f"SELECT id FROM memories WHERE {where} ORDER BY id")
        ]
        return chance.choice(ids) if ids else None

    @rule(node=NODES, topic=TOPIC)
    def add(self, node: int, topic: str) -> None:
        self.nodes[node].add(topic, self.word(), tags=("t",), metadata={"k": 1, "a": [2]})

    @rule(node=NODES, topic=TOPIC, head=st.sampled_from(HEADS), count=st.integers(1, 3))
    def write_file(self, node: int, topic: str, head: str, count: int) -> None:
        """The same files everywhere, more or less."""
        it = self.nodes[node]
        it.mirror()
        if topic not in it.files:
            it.save(topic, head + "".join(f"## 2026-01-0{day} 10:00:00 UTC\n\nday {day}\n\n" for day in range(count)))

    @rule(node=NODES, topic=TOPIC, seed=SEED)
    def edit_file(self, node: int, topic: str, seed: int) -> None:
        chance = random.Random(seed)
        it = self.nodes[node]
        it.mirror()
        if text := it.files.get(topic):
            lines = text.splitlines(keepends=True)
            at = chance.randrange(len(lines))
            lines[at : at + chance.randrange(2)] = [f"{self.word()}\n"]
            it.save(topic, "".join(lines))

    @rule(node=NODES, topic=TOPIC)
    def append_to_file(self, node: int, topic: str) -> None:
        it = self.nodes[node]
        it.mirror()
        if text := it.files.get(topic):
            it.save(topic, text.rstrip("\n") + f"\n\n## 2026-02-01 10:00:00 UTC\n\n{self.word()}\n\n")

    @rule(node=NODES, topic=TOPIC)
    def remove_file(self, node: int, topic: str) -> None:
        it = self.nodes[node]
        it.mirror()
        if topic in it.files:
            it.remove(topic)

    @rule(node=NODES, topic=TOPIC, other=st.sampled_from((*TOPICS, "renamed")))
    def rename_file(self, node: int, topic: str, other: str) -> None:
        it = self.nodes[node]
        it.mirror()
        if topic in it.files and other not in it.files:
            it.rename(topic, other)

    @rule(node=NODES, seed=SEED)
    def edit_memory(self, node: int, seed: int) -> None:
        chance = random.Random(seed)
        if id := self.some_row(node, chance, "invalidated_at IS NULL AND role = 'entry'"):
            row = self.nodes[node].row(id)
            tags = chance.sample(["t", "u", "v"], 2)
            self.nodes[node].edit(
                id, text=row.text.rstrip() + f" {self.word()}\n\n", tags=tags, user_id=chance.choice("xy")
            )

    @rule(node=NODES, seed=SEED)
    def forget_memory(self, node: int, seed: int) -> None:
        chance = random.Random(seed)
        if id := self.some_row(node, chance):
            self.nodes[node].forget(id)

    @rule(node=NODES, seed=SEED)
    def restore_memory(self, node: int, seed: int) -> None:
        chance = random.Random(seed)
        if id := self.some_row(node, chance, "invalidated_at IS NOT NULL"):
            self.nodes[node].restore(id)

    @rule(node=NODES)
    def come_round(self, node: int) -> None:
        self.nodes[node].mirror()

    @rule(node=NODES, other=NODES, seed=SEED)
    def hear_some(self, node: int, other: int, seed: int) -> None:
        """Parts of what another knows, some of it known already; only each origin's own order holds."""
        chance = random.Random(seed)
        queues: dict[str, list[Change]] = {}
        for change in self.nodes[other].log():
            queues.setdefault(change.origin, []).append(change)
        cut = [queue[: chance.randrange(len(queue) + 1)] for queue in queues.values()]
        chance.shuffle(cut)
        mixed = cut if chance.random() < 0.5 else [list(filter(None, part)) for part in zip_longest(*cut)]
        for part in mixed:
            self.nodes[node].take(part)

    @precondition(lambda self: self.evil < self.most_evil)
    @rule(node=NODES, seed=SEED, odd=st.sampled_from(ODD), kind=st.integers(0, 4))
    def hear_nonsense(self, node: int, seed: int, odd: dict[str, Any], kind: int) -> None:
        chance = random.Random(seed)
        it = self.nodes[node]
        id = self.some_row(node, chance, "1")
        state = it.write(lambda tx: tx.state(id) if id else None)
        new = document.create("evil", {"topic": "notes", "position": "a0", "role": "entry", **odd})
        choices = [new, b"\xff" * 9, b"", document.edit(state or new, fields=odd), without_beginning(state or new)]
        self.evil += 1
        change = Change(
            NodeId("evil"), self.evil, DocumentId(id if id and kind else f"evil{self.evil}"), "memory", "add", "e", "",
            pack(chance.choice([0, 10**12, 10**14])), choices[kind] or b"",
        )  # fmt: skip
        if any(one.origin == "evil" and one.counter == self.evil for other in self.nodes for one in other.log()):
            return
        for other in self.nodes:
            other.hear(it)
        for other in self.nodes:
            other.take([change])


class HonestIslands(Islands):
    most_evil = 0


LIVES = settings(max_examples=12, stateful_step_count=25, suppress_health_check=list(HealthCheck))
TestIslands = Islands.TestCase
TestIslands.settings = LIVES
TestHonestIslands = HonestIslands.TestCase
TestHonestIslands.settings = LIVES

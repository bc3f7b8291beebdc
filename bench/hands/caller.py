"""A caller of the API, on topics that others edit as files."""

from __future__ import annotations

import random

from bench.hands.hand import Hand
from bench.hands.ledger import tokens_in
from bench.hands.world import Down, Refused, World


class Caller(Hand):
    """Adds, changes, forgets and restores through the API, on topics that others edit too."""

    def __init__(self, world: World, chance: random.Random, topics: list[str], removable: list[str]) -> None:
        super().__init__(world, chance)
        self._topics, self._removable = topics, removable
        self._own: list[str] = []
        self._gone: list[str] = []

    def work(self) -> None:
        self.run(self._add, self._add, self._add, self._append, self._replace, self._forget, self._restore, self._bulk)

    def _content(self) -> str:
        text = self.text()
        odd = self.chance.random()
        if odd < 0.05:
            text += f"\n\n## {self.stamp()} inside\n\n{self.line()[0]}"
        elif odd < 0.1:
            text += f"\n\n```\n{self.line()[0]}"
        return text

    def _add(self) -> None:
        topic, content = self.chance.choice(self._topics), self._content()
        self._sent({"topic": topic, "content": content}, "/memories", [content])

    def _bulk(self) -> None:
        topics = self.chance.choices(self._topics, k=self.chance.randint(2, 12))
        many = [{"topic": topic, "content": self._content()} for topic in topics]
        self._sent({"memories": many}, "/bulk/memories", [each["content"] for each in many])

    def _sent(self, body: dict[str, object], path: str, contents: list[str]) -> None:
        tokens = [token for content in contents for token in tokens_in(content)]
        try:
            answer = self.world.ask("POST", path, body)
        except Down:
            self.world.ledger.unsure(tokens)
            raise
        for memory in answer.get("memories") or [answer]:
            self.world.ledger.acknowledged(memory["id"], memory["topic"], memory["content"])
            self._own.append(memory["id"])
        self.world.ledger.did("api add", str(body.get("topic", "several")), tokens)

    def _changed(self, id: str, token: str, body: object) -> None:
        ledger = self.world.ledger
        try:
            memory = self.world.ask("PATCH", f"/memories/{id}", body)
        except Down:
            ledger.unsure([token])
            ledger.change(tokens_in(ledger.adds[id].content))
            raise
        except Refused:
            return
        ledger.change(tokens_in(memory["content"]))
        ledger.wrote([token], memory["topic"])
        ledger.did("api update", memory["topic"], [token])

    def _append(self) -> None:
        if self._own:
            line, token = self.line()
            self._changed(self.chance.choice(self._own), token, {"append": line})

    def _replace(self) -> None:
        if self._own:
            id, token = self.chance.choice(self._own), self.world.ledger.token()
            old = self.chance.choice(tokens_in(self.world.ledger.adds[id].content))
            self._changed(id, token, {"replace": {"old": old, "new": f"{old} {token}"}})

    def _forget(self) -> None:
        if not self._own or self.chance.random() < 0.5:
            return
        id = self._own.pop(self.chance.randrange(len(self._own)))
        tokens = tokens_in(self.world.ledger.adds[id].content)
        try:
            memory = self.world.ask("DELETE", f"/memories/{id}", {"reason": "no longer so"})
        except Down:
            self.world.ledger.unsure(tokens)
            raise
        except Refused:
            return
        self.world.ledger.remove(tokens_in(memory["content"]))
        self._gone.append(id)
        self.world.ledger.did("api forget", memory["topic"], went=tokens_in(memory["content"]))

    def _restore(self) -> None:
        if not self._gone:
            return
        id = self._gone.pop(self.chance.randrange(len(self._gone)))
        try:
            memory = self.world.ask("POST", f"/memories/{id}/restore", {})
        except Down:
            self.world.ledger.unsure(tokens_in(self.world.ledger.adds[id].content))
            raise
        except Refused:
            return
        # Where its file was just removed, nobody can say which of the two came first.
        if memory["topic"] in self._removable:
            self.world.ledger.unsure(tokens_in(memory["content"]))
        else:
            self.world.ledger.restored(tokens_in(memory["content"]), memory["topic"])
        self._own.append(id)
        self.world.ledger.did("api restore", memory["topic"], tokens_in(memory["content"]))

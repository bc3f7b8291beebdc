"""A program that appends to files and removes them."""

from __future__ import annotations

import os
import random
import time

from bench.hands.hand import Hand
from bench.hands.ledger import tokens_in
from bench.hands.world import World
from bench.saving import AgentMemory


class Appender(Hand):
    """agent-memory's own server on the same folder; some of its processes are slow to finish a write."""

    def __init__(self, world: World, chance: random.Random, topics: list[str], forgets: list[str]) -> None:
        super().__init__(world, chance)
        self._topics, self._forgets = topics, forgets
        self._server = AgentMemory(world.vault)

    def work(self) -> None:
        self.run(self._quickly, self._quickly, self._slowly, self._forget, self._note)

    def _quickly(self) -> None:
        self._remember(slow=False)

    def _slowly(self) -> None:
        self._remember(slow=True)

    def _remember(self, slow: bool) -> None:
        topic, text = self.chance.choice(self._topics), self.text()
        turns = self.world.turns[topic]
        with turns.appending():
            if slow:
                self._server.remember(topic, text, lambda: time.sleep(self.chance.choice([0.1, 0.5, 1.0])))
            else:
                self._server.remember(topic, text)
            self.world.ledger.wrote(tokens_in(text), topic)
            turns.appended += tokens_in(text)
        self.world.ledger.did("slow append" if slow else "append", topic, tokens_in(text))
        if self.chance.random() < 0.2:
            self.world.knows_soon(tokens_in(text)[0])

    def _note(self) -> None:
        """`echo … >> file`: a line without a date, which belongs to whatever entry comes before it."""
        topic = self.chance.choice(self._topics)
        path, turns = self._server.path(topic), self.world.turns[topic]
        line, token = self.line()
        with turns.appending():
            try:
                fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            except FileNotFoundError:
                return
            self.world.ledger.stray(token)
            os.write(fd, f"{line}\n".encode())
            os.close(fd)
            self.world.ledger.wrote([token], topic)
            # For the mirror it may be a person's save: nobody may go on with what was there before.
            turns.saves += 1
        self.world.ledger.did("note", topic, [token])

    def _forget(self) -> None:
        topic = self.chance.choice(self._forgets)
        path = self._server.path(topic)
        if self.chance.random() < 0.7:
            return
        with self.world.turns[topic].alone():
            try:
                held = path.open("rb")
            except FileNotFoundError:
                return
            with held:
                self._server.forget(topic)
                gone = tokens_in(held.read().decode())
                self.world.ledger.remove_from_file(gone)
            self.world.turns[topic].saves += 1
        self.world.ledger.did("file removed", topic, went=gone)

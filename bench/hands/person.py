"""A person with an editor, whose buffer is old by the time it is saved."""

from __future__ import annotations

import random
import re
from pathlib import Path

from bench.hands.hand import HEADING, Hand, read
from bench.hands.ledger import tokens_in
from bench.hands.world import World
from bench.saving import WAYS


class Person(Hand):
    """Edits files that API and programs write to as well, from a buffer that is old by the time it is saved."""

    def __init__(self, world: World, chance: random.Random, topics: list[str]) -> None:
        super().__init__(world, chance)
        self._topics = topics

    def work(self) -> None:
        self.run(self._session)

    def _session(self) -> None:
        topic = self.chance.choice(self._topics)
        path, turns = self.world.vault / f"{topic}.md", self.world.turns[topic]
        with turns.alone():
            buffer, saves, appended = read(path), turns.saves, len(turns.appended)
        for _ in range(self.chance.randint(1, 3)):
            if buffer is None:
                return
            self.world.stop.wait(self.chance.choice([0.0, 0.1, 0.5, 2.0]))
            # What a program appended is the daemon's to keep once it knows of it.
            unknown = [token for token in turns.appended[appended:] if not self.world.knows_soon(token)]
            with turns.alone():
                if unknown or turns.saves != saves or any(not self.world.knows(t) for t in turns.appended[appended:]):
                    buffer = read(path)
                if buffer is None:
                    return
                buffer = self._saved(path, buffer, topic)
                turns.saves += 1
                saves, appended = turns.saves, len(turns.appended)

    def _saved(self, path: Path, buffer: str, topic: str) -> str:
        ledger = self.world.ledger
        text, before = self._edited(buffer), set(tokens_in(buffer))
        # A text that only lacks words may equal an older one, and nobody can tell it from going back to that.
        if before.issuperset(tokens_in(text)):
            text = self._entry(text)
        after = set(tokens_in(text))
        save = self.chance.choice(WAYS)
        ledger.remove_from_file(before - after)
        save(path, text.encode(), self.pause)
        ledger.wrote(after - before, topic)
        ledger.did(f"save {save.__name__}", topic, after - before, before - after)
        return text

    def _edited(self, text: str) -> str:
        ways = [self._more, self._more, self._word, self._entry, self._inserted, self._less]
        for _ in range(self.chance.randint(1, 3)):
            text = self.chance.choice(ways)(text)
        return text

    def _more(self, text: str) -> str:
        """A word at the end of some line."""
        lines = text.split("\n")
        fit = [i for i, line in enumerate(lines) if tokens_in(line)]
        if not fit:
            return self._entry(text)
        at = self.chance.choice(fit)
        self.world.ledger.change(tokens_in(lines[at]))
        lines[at] += f" {self.world.ledger.token()}"
        return "\n".join(lines)

    def _word(self, text: str) -> str:
        """Another word in place of one."""
        found = [m for m in re.finditer(r"\b(deploy|billing|cluster|queue|meeting)\b", text)]
        if not found:
            return text
        it = self.chance.choice(found)
        line = text[text.rfind("\n", 0, it.start()) + 1 : (text + "\n").find("\n", it.end())]
        self.world.ledger.change(tokens_in(line))
        return text[: it.start()] + "changed" + text[it.end() :]

    def _entry(self, text: str) -> str:
        return f"{text}## {self.stamp()}\n\n{self.text()}\n\n"

    def _inserted(self, text: str) -> str:
        starts = [m.start() for m in HEADING.finditer(text)]
        at = self.chance.choice(starts) if starts else len(text)
        # A memory that has a heading inside is cut in two by that.
        before, after = [0, *starts], [*starts, len(text)]
        self.world.ledger.change(tokens_in(text[max(b for b in before if b <= at - 1 or b == 0) : at]))
        self.world.ledger.change(tokens_in(text[at : min((a for a in after if a > at), default=len(text))]))
        return f"{text[:at]}## {self.stamp()}\n\n{self.text()}\n\n{text[at:]}"

    def _less(self, text: str) -> str:
        starts = [m.start() for m in HEADING.finditer(text)]
        if len(starts) < 3 or self.chance.random() < 0.5:
            return text
        at = self.chance.randrange(len(starts))
        end = [*starts, len(text)][at + 1]
        return text[: starts[at]] + text[end:]

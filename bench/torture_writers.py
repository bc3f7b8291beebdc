"""The torture's writers: people with editors, programs that append, callers of the API. Each runs in a thread."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.saving import WAYS, AgentMemory, by_checking_out
from bench.torture_ledger import Ledger, Turns, tokens_in

SYLLABLES = "ba de fi go ku la me ni po ru sa te vi wo xa zé ür 東 שלו 🎉 e\u0301t".split()
PLAIN = ["deploy", "billing", "cluster", "queue", "meeting"]
HEADING = re.compile(r"^## [0-9]{4}-[0-9]{2}-[0-9]{2}.*$", re.M)


class Down(Exception):
    """No answer: the daemon is being killed, or the request died with it."""


class Refused(Exception):
    """An answer, but no success."""


@dataclass(frozen=True, slots=True)
class World:
    """Where everything happens."""

    vault: Path
    data: Path
    outside: Path
    ledger: Ledger
    stop: threading.Event
    turns: dict[str, Turns]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the daemon answers to a request."""
        return self.page(method, path, body)[0]

    def page(self, method: str, path: str, body: object = None) -> tuple[Any, str]:
        """The same, with the cursor of the next page; each request on a connection of its own."""
        try:
            told = json.loads((self.data / "daemon.json").read_bytes())
            connection = http.client.HTTPConnection(told["url"].removeprefix("http://"), timeout=30)
            try:
                connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Down from error
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content), answer.getheader("x-next-cursor", "")

    def knows(self, token: str) -> bool:
        """Whether the daemon has this word in a living text."""
        try:
            found = bool(self.ask("GET", f"/lines?keyword={token}"))
        except Down:
            return False
        if found:
            self.ledger.saw(token)
        return found

    def knows_soon(self, token: str, seconds: float = 3.0) -> bool:
        """The same, with some patience."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stop.is_set():
            if self.knows(token):
                return True
            time.sleep(0.05)
        return False


@dataclass(slots=True)
class Writer:
    """A hand with a will of its own."""

    world: World
    chance: random.Random

    def words(self, least: int = 2, most: int = 9) -> str:
        count = self.chance.randint(least, most)
        made = ("".join(self.chance.choices(SYLLABLES, k=self.chance.randint(2, 4))) for _ in range(count))
        return " ".join([*made, self.chance.choice(PLAIN)])

    def line(self) -> tuple[str, str]:
        token = self.world.ledger.token()
        return f"{self.words()} {token} {self.words()}", token

    def text(self) -> str:
        lines = [self.line()[0] for _ in range(self.chance.randint(1, 4))]
        return self.chance.choice(["\n", "\n\n"]).join(lines)

    def pause(self) -> None:
        if self.chance.random() < 0.5:
            time.sleep(self.chance.choice([0.001, 0.01, 0.05, 0.3]))

    def stamp(self) -> str:
        """A date as people write it; to the second, and of the same second, are those of programs."""
        at = datetime.now(UTC) - timedelta(seconds=self.chance.randint(0, 10_000_000))
        return f"{at:%Y-%m-%d %H:%M}"

    def run(self, *works: Callable[[], None]) -> None:
        while not self.world.stop.is_set():
            try:
                self.chance.choice(works)()
            except Down:
                time.sleep(0.05)
            time.sleep(self.chance.choice([0.0, 0.01, 0.05, 0.2]))


class Caller(Writer):
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

    def _sent(self, body: object, path: str, contents: list[str]) -> None:
        tokens = [token for content in contents for token in tokens_in(content)]
        try:
            answer = self.world.ask("POST", path, body)
        except Down:
            self.world.ledger.unsure(tokens)
            raise
        for memory in answer.get("memories") or [answer]:
            self.world.ledger.acknowledged(memory["id"], memory["topic"], memory["content"])
            self._own.append(memory["id"])
        self.world.ledger.did("api add")

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
        ledger.did("api update")

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
        self.world.ledger.did("api forget")

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
        keep = self.world.ledger.unsure if memory["topic"] in self._removable else self._safe
        keep(tokens_in(memory["content"]))
        self._own.append(id)
        self.world.ledger.did("api restore")

    def _safe(self, tokens: list[str]) -> None:
        self.world.ledger.wrote(tokens, "some file")


class Appender(Writer):
    """agent-memory's own server on the same folder; some of its processes are slow to finish a write."""

    def __init__(self, world: World, chance: random.Random, topics: list[str], forgets: list[str]) -> None:
        super().__init__(world, chance)
        self._topics, self._forgets = topics, forgets
        self._server = AgentMemory(world.vault)

    def work(self) -> None:
        self.run(self._quickly, self._quickly, self._slowly, self._forget)

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
        self.world.ledger.did("slow append" if slow else "append")
        if self.chance.random() < 0.2:
            self.world.knows_soon(tokens_in(text)[0])

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
                self.world.ledger.remove(tokens_in(held.read().decode()))
            self.world.turns[topic].saves += 1
        self.world.ledger.did("file removed")


class Person(Writer):
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
            buffer, saves, appended = _read(path), turns.saves, len(turns.appended)
        for _ in range(self.chance.randint(1, 3)):
            if buffer is None:
                return
            self.world.stop.wait(self.chance.choice([0.0, 0.1, 0.5, 2.0]))
            # What a program appended is the daemon's to keep once it knows of it.
            unknown = [token for token in turns.appended[appended:] if not self.world.knows_soon(token)]
            with turns.alone():
                if unknown or turns.saves != saves or any(not self.world.knows(t) for t in turns.appended[appended:]):
                    buffer = _read(path)
                if buffer is None:
                    return
                buffer = self._saved(path, buffer, topic)
                turns.saves += 1
                saves, appended = turns.saves, len(turns.appended)

    def _saved(self, path: Path, buffer: str, topic: str) -> str:
        ledger = self.world.ledger
        text = self._edited(buffer)
        if text == buffer:
            text = self._entry(buffer)
        before, after = set(tokens_in(buffer)), set(tokens_in(text))
        save = self.chance.choice(WAYS)
        ledger.remove(before - after)
        save(path, text.encode(), self.pause)
        ledger.wrote(after - before, topic)
        ledger.did(f"save {save.__name__}")
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


class Keeper(Writer):
    """Has files of its own, in which every byte must stay as it was saved."""

    def __init__(self, world: World, chance: random.Random, name: str) -> None:
        super().__init__(world, chance)
        self._home = f"own-{name}"
        self._files: dict[str, bytes] = {}
        self._counter = 0
        world.vault.joinpath(self._home).mkdir()

    def work(self) -> None:
        for _ in range(6):
            self._create()
        self.run(
            self._edit, self._edit, self._edit, self._create, self._rename, self._remove, self._touch,
            self._rename_folder, self._move_out_and_in, self._synchronise,
        )  # fmt: skip

    def _path(self, name: str) -> Path:
        return self.world.vault / self._home / name

    def _save(self, name: str, data: bytes) -> None:
        save = self.chance.choice(WAYS)
        self._path(name).parent.mkdir(exist_ok=True)
        save(self._path(name), data, self.pause)
        self._files[name] = data
        self.world.ledger.did(f"own {save.__name__}")
        if self.chance.random() < 0.3 and (tokens := tokens_in(data.decode())):
            self.world.knows_soon(self.chance.choice(tokens))

    def _create(self) -> None:
        if len(self._files) >= 9:
            return
        self._counter += 1
        name = f"{self.chance.choice(['', 'Sub Folder/'])}Note {self._counter}.md"
        text = self.chance.choice(["", "\ufeff", f"---\ntags: [a{self._counter}]\n---\n"])
        text += self.chance.choice([f"# Note {self._counter}\n\n", f"{self.line()[0]}\n", ""])
        for _ in range(self.chance.randint(0, 5)):
            text += f"## {self.stamp()}{self.chance.choice(['', ' a title'])}\n\n{self.text()}\n\n"
        text += self.chance.choice(["", self.line()[0], "```\nnever closed", f"{self.line()[0]}\n\n\n\n"])
        self._save(name, self._odd(text).encode())

    def _odd(self, text: str) -> str:
        return text.replace("\n", "\r\n") if self.chance.random() < 0.2 else text

    def _edit(self) -> None:
        if not self._files:
            return
        name = self.chance.choice(list(self._files))
        lines = self._files[name].decode().split("\n")
        for _ in range(self.chance.randint(1, 3)):
            # What stands in front matter is no memory's content.
            first = 3 if lines[:1] in (["---"], ["---\r"]) else 0
            at, what = self.chance.randint(min(first, len(lines)), len(lines)), self.chance.random()
            if what < 0.6:
                lines.insert(at, self.line()[0])
            elif what < 0.8:
                lines[at:at] = ["", f"## {self.stamp()}", "", self.line()[0], ""]
            else:
                end = at + self.chance.randint(1, 6)
                # An entry just appended and then taken away with others looks like one that its author has not seen.
                if not any(HEADING.match(line) for line in lines[at:end]):
                    del lines[at:end]
        self._save(name, "\n".join(lines).encode())

    def _rename(self) -> None:
        if not self._files:
            return
        name = self.chance.choice(list(self._files))
        self._counter += 1
        new = f"{self.chance.choice(['', 'Sub Folder/'])}Renamed {self._counter}.md"
        self._path(new).parent.mkdir(exist_ok=True)
        self._path(name).rename(self._path(new))
        self._files[new] = self._files.pop(name)
        self.world.ledger.did("rename")

    def _remove(self) -> None:
        if len(self._files) > 4:
            name = self.chance.choice(list(self._files))
            self._path(name).unlink()
            del self._files[name]
            self.world.ledger.did("own removed")

    def _touch(self) -> None:
        if self._files:
            os.utime(self._path(self.chance.choice(list(self._files))))
            self.world.ledger.did("touch")

    def _rename_folder(self) -> None:
        if self.chance.random() < 0.7:
            return
        self._counter += 1
        new = f"{self._home.split('~')[0]}~{self._counter}"
        (self.world.vault / self._home).rename(self.world.vault / new)
        self._home = new
        self.world.ledger.did("folder renamed")

    def _move_out_and_in(self) -> None:
        if self.chance.random() < 0.8:
            return
        away = self.world.outside / self._home
        (self.world.vault / self._home).rename(away)
        self.world.stop.wait(self.chance.choice([0.0, 0.2, 1.0]))
        away.rename(self.world.vault / self._home)
        self.world.ledger.did("folder out and in")

    def _synchronise(self) -> None:
        """Removes all and copies all back, as some synchronisers do."""
        if self.chance.random() < 0.8:
            return
        away = self.world.outside / self._home
        shutil.copytree(self.world.vault / self._home, away, copy_function=shutil.copy2)
        shutil.rmtree(self.world.vault / self._home)
        self.pause()
        shutil.copytree(away, self.world.vault / self._home, copy_function=shutil.copy2)
        shutil.rmtree(away)
        self.world.ledger.did("folder removed and copied back")

    def finish(self) -> dict[str, bytes]:
        """Every file that must be there, by its path in the vault."""
        return {f"{self._home}/{name}": data for name, data in self._files.items()}


class Brancher(Writer):
    """Changes many files at once, forth and back, as a checkout does."""

    FILES = 24

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world, chance)
        self._trees = [self._tree(), self._tree()]
        for name in list(self._trees[0])[: self.FILES // 2]:
            self._trees[1][name] = self._trees[0][name]
        for name in list(self._trees[0])[-4:]:
            del self._trees[1][name]
        self._now = 0

    def work(self) -> None:
        self._switch(0)
        self.run(self._flip)

    def _tree(self) -> dict[str, bytes]:
        return {f"repo/docs/page-{n}.md": f"# page {n}\n\n{self._entries()}".encode() for n in range(self.FILES)}

    def _entries(self) -> str:
        return "".join(f"## {self.stamp()}\n\n{self.text()}\n\n" for _ in range(self.chance.randint(0, 4)))

    def _flip(self) -> None:
        self.world.stop.wait(self.chance.choice([0.1, 0.5, 2.0]))
        self._switch(1 - self._now)
        self.world.ledger.did("checkout")

    def _switch(self, to: int) -> None:
        old, new = self._trees[self._now], self._trees[to]
        for name in old.keys() - new.keys():
            (self.world.vault / name).unlink()
        for name, data in new.items():
            if not (self.world.vault / name).exists() or old.get(name) != data:
                by_checking_out(self.world.vault / name, data, lambda: None)
        self._now = to

    def finish(self) -> dict[str, bytes]:
        """Every file that must be there, by its path in the vault."""
        return self._trees[self._now]


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None


def quoted(topic: str) -> str:
    """A topic as a part of a path in the API."""
    return urllib.parse.quote(topic)

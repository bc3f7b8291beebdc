"""Topic names, topics and the files they live in. Pure.

A topic is a path in the vault without `.md`. A name given through an API is mapped to one by the file-name rule of the
agent-memory server, so that both find the same file; a path that people made is used as it is, or refused.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

from hiveminddb.errors import InvalidInput, VaultError

SUFFIX = ".md"
RESERVED = ".hivemind"

# Most file systems take names of 255 bytes and paths of 4096; the vault's own folder needs room in front.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 3000

_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))]
)


class Topics:
    """The topics there are, so that a name finds the file it means."""

    def __init__(self, topics: Iterable[str] = ()) -> None:
        self._by_fold: dict[str, set[str]] = {}
        for topic in topics:
            self.add(topic)

    def add(self, topic: str) -> None:
        """Take note of a topic."""
        self._by_fold.setdefault(fold(topic), set()).add(topic)

    def discard(self, topic: str) -> None:
        """Forget a topic."""
        same = self._by_fold.get(fold(topic), set())
        same.discard(topic)
        if not same:
            self._by_fold.pop(fold(topic), None)

    def __contains__(self, topic: object) -> bool:
        return isinstance(topic, str) and topic in self._by_fold.get(fold(topic), ())

    def resolve(self, name: str) -> str:
        """The topic a name means: the one of exactly that path, else by the rule and blind to letter case."""
        if name in self:
            return name
        topic = from_name(name)
        same = self._by_fold.get(fold(topic), set())
        return topic if topic in same or not same else min(tuple(same))


def from_name(name: str) -> str:
    """The topic of a name by the file-name rule; InvalidInput for a name that cannot be one."""
    if not name.strip():
        raise InvalidInput(f"topic is empty: {name!r}", "give it a name, such as notes")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise InvalidInput(f"topic has control characters: {name!r}", "use letters, digits, spaces, - and _")
    kept = "".join(c if c.isalnum() or c in "-_ " else "_" for c in name).strip().replace(" ", "-").lower()
    if kept in _WINDOWS_DEVICES:
        kept += "_"
    return _shortened(kept)


def path_of(topic: str) -> str:
    """The file of a topic, relative to the vault; VaultError for one that must not be touched."""
    path = topic + SUFFIX
    if reason := refusal(path):
        raise VaultError(
            f"topic refused: {topic!r}: {reason}", "a topic is a path inside the vault, such as projects/hive"
        )
    return path


def topic_of(path: str) -> str:
    """The topic of a file's path relative to the vault; VaultError for one that is no topic file."""
    if reason := refusal(path):
        raise VaultError(f"file refused: {path!r}: {reason}", "a topic file is a .md file inside the vault")
    return path.removesuffix(SUFFIX)


def admissible(topic: str) -> str:
    """A topic that another node named: the same where it may be a file here, else a name made from it."""
    if refusal(topic + SUFFIX) is None:
        return topic
    return "refused-" + hashlib.sha256(topic.encode(errors="replace")).hexdigest()[:16]


def refusal(path: str) -> str | None:
    """Why a relative path is no topic file; None if it is one."""
    parts = path.split("/")
    if not path.endswith(SUFFIX) or parts[-1] == SUFFIX:
        return "not a .md file"
    if path.startswith("/"):
        return "absolute path"
    if any(part.startswith(".") for part in parts):
        return "hidden, or leads out of its folder"
    if "" in parts:
        return "a part of the path is empty"
    return _unfit(path, parts)


def fold(topic: str) -> str:
    """Equal for topics that a file system blind to letter case or to composed letters takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", topic).casefold())


def _unfit(path: str, parts: list[str]) -> str | None:
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "the name is not UTF-8"
    if not path.isprintable() and any(unicodedata.category(c) == "Cc" for c in path):
        return "control characters in the name"
    if max(sizes) > MAX_NAME_BYTES:
        return f"a part of the path is over {MAX_NAME_BYTES} bytes"
    return f"the path is over {MAX_PATH_BYTES} bytes" if sum(sizes) + len(sizes) > MAX_PATH_BYTES else None


def _shortened(name: str) -> str:
    """A name that fits a file name; a longer one is cut, and a hash of the whole keeps it apart from others."""
    room = MAX_NAME_BYTES - len(SUFFIX)
    encoded = name.encode()
    if len(encoded) <= room:
        return name
    mark = "-" + hashlib.sha256(encoded).hexdigest()[:12]
    return encoded[: room - len(mark)].decode(errors="ignore") + mark

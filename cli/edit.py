"""edit: a memory or a topic in the person's own editor; what they typed is never lost."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from hiveminddb._address import data_dir, find
from hiveminddb._calls import Ack
from hiveminddb.answers import TopicText, Written
from hiveminddb.cli.memories import person, short
from hiveminddb.cli.merge import merge
from hiveminddb.cli.output import note, paint, say, say_json
from hiveminddb.cli.session import Session, ack_option, command, complete_topic, pass_session
from hiveminddb.cli.show import named
from hiveminddb.cli.text import visible
from hiveminddb.client import HiveMind
from hiveminddb.errors import Conflict, HiveMindError, InvalidConfig, InvalidInput
from hiveminddb.model import Memory

# How often a memory may move on under our hands before we give the text back.
_TRIES = 3
_HERE = ("127.0.0.1", "localhost", "::1")


@command()
@click.argument("name", metavar="ID|TOPIC", shell_complete=complete_topic)
@click.option("--reason", "-r", help="Why.")
@ack_option
@pass_session
def edit(session: Session, name: str, reason: str | None, ack: Ack | None) -> None:
    """Edit a memory, or a topic's file, in $EDITOR.

    $VISUAL is preferred. A change made meanwhile is merged with yours, or your text is kept in a file.
    """
    with session.client() as mind:
        found = named(mind, name)
        if isinstance(found, TopicText):
            _edit_topic(session, mind, found)
        else:
            _edit_memory(session, mind, found, reason, ack)


def _edit_memory(session: Session, mind: HiveMind, memory: Memory, reason: str | None, ack: Ack | None) -> None:
    draft = _Draft.of(memory, data_dir(session.data_dir))
    typed = draft.typed()
    if typed == memory.content:
        draft.discard()
        _tell(session, None)
        return
    try:
        written = _send(mind, memory, typed, reason, ack)
    except HiveMindError as error:
        error.hint = f"your text is kept in {draft.path}" + (f"; {error.hint}" if error.hint else "")
        raise
    draft.discard()
    _tell(session, written)


def _send(mind: HiveMind, base: Memory, typed: str, reason: str | None, ack: Ack | None) -> Written:
    """Writes what was typed on top of the version it started from; merges if somebody wrote meanwhile."""
    version, text = base.version, typed
    for _ in range(_TRIES):
        try:
            return mind.update(base.id, content=text, version=version, reason=reason, changed_by=person(), ack=ack)
        except Conflict:
            now = mind.get(base.id)
            if now.invalidated_at is not None or now.version == version:
                raise
            merged = merge(base.content, typed, now.content)
            if merged is None:
                raise Conflict(
                    f"somebody else changed the same lines of {base.id} meanwhile",
                    f"see theirs with: hmd show {base.id}",
                ) from None
            version, text = now.version, merged
            note("somebody else changed it meanwhile; both changes are kept")
    raise Conflict(f"{base.id} keeps changing", "try again when it is quiet")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A text in a file of its own while it is edited."""

    path: Path
    newline: bool

    @classmethod
    def of(cls, memory: Memory, folder: Path) -> _Draft:
        drafts = folder / "drafts"
        try:
            drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            drafts = Path(tempfile.gettempdir())
        handle, path = tempfile.mkstemp(".md", f"{memory.id[:8]}-", drafts)
        # Editors end a file with a newline of their own; content has none, so one is added and taken away again.
        newline = not memory.content.endswith("\n")
        with os.fdopen(handle, "wb") as file:
            file.write((memory.content + ("\n" if newline else "")).encode())
        return cls(Path(path), newline)

    def typed(self) -> str:
        """What the person made of it."""
        open_editor(self.path)
        try:
            text = self.path.read_bytes().decode()
        except UnicodeDecodeError as cause:
            raise InvalidInput(f"not UTF-8: {self.path}", "save it as UTF-8") from cause
        return text.removesuffix("\n") if self.newline else text

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def _edit_topic(session: Session, mind: HiveMind, topic: TopicText) -> None:
    path = _file(mind, topic)
    host = urlsplit(find(session.url, session.token, session.data_dir).url).hostname
    if host not in _HERE or not path.is_file():
        raise InvalidInput(
            f"the file of {topic.topic} is not on this machine", "edit its memories one by one: hmd edit ID"
        )
    before = path.read_bytes()
    open_editor(path)
    changed = not path.exists() or path.read_bytes() != before
    if session.json:
        say_json({"file": str(path), "changed": changed})
    else:
        say(f"{'saved' if changed else 'unchanged:'} {visible(str(path))}")


def _file(mind: HiveMind, topic: TopicText) -> Path:
    path = Path(topic.file)
    return path if path.is_absolute() else Path(mind.status().vault.path) / path


def open_editor(path: Path) -> None:
    """Opens the person's editor on a file and waits until it is closed."""
    words = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        ended = subprocess.run([*shlex.split(words), str(path)], check=False).returncode
    except (OSError, ValueError) as cause:
        raise InvalidConfig(f"the editor does not start: {words}", "set EDITOR to the one you use") from cause
    if ended != 0:
        raise InvalidInput(f"the editor ended with {ended}: {words}", f"nothing was sent; your text is in {path}")


def _tell(session: Session, written: Written | None) -> None:
    if session.json:
        say_json(written)
    elif written is None:
        say("nothing changed")
    else:
        say(f"saved {short(written)} in {paint(visible(written.topic), 'cyan')}, now version {written.version}")

"""import and export: whole folders of markdown in and out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import click

from hiveminddb._calls import Ack
from hiveminddb.answers import Imported, ImportFile, Refused
from hiveminddb.cli.output import amount, note, on_terminal, paint, plain, say, say_json
from hiveminddb.cli.session import Session, ack_option, command, pass_session
from hiveminddb.cli.text import one_line, visible
from hiveminddb.client import HiveMind
from hiveminddb.errors import InvalidInput

# One request holds so many files or bytes: small enough for a steady progress bar, large enough to be fast.
BATCH_FILES = 200
BATCH_BYTES = 2_000_000


@dataclass(slots=True)
class Summary:
    """What became of all files so far."""

    added: int = 0
    unchanged: int = 0
    merged: int = 0
    refused: list[Refused] = field(default_factory=list)

    def count(self, part: Imported) -> None:
        self.added += part.added
        self.unchanged += part.unchanged
        self.merged += part.merged
        self.refused.extend(part.refused)


@command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@ack_option
@click.pass_context
@pass_session
def import_(session: Session, ctx: click.Context, path: Path, ack: Ack | None) -> None:
    """Take in a folder of markdown, or one file.

    An agent-memory folder, a vault of notes, any folder with files named *.md. Dates are kept.
    """
    root = path if path.is_dir() else path.parent
    names = list(markdown_files(path))
    summary = Summary()
    with session.client(timeout=600) as mind:
        _refuse_own_vault(mind, root)
        with click.progressbar(length=len(names), label="importing", hidden=not on_terminal() or session.json) as bar:
            for batch in batches(root, names, summary):
                summary.count(mind.import_files(batch, ack=ack))
                bar.update(len(batch))
    if session.json:
        say_json(summary)
    else:
        _tell(summary, len(names))
    if summary.refused:
        ctx.exit(1)


def markdown_files(path: Path) -> Iterator[Path]:
    """The markdown files at or under a path, in order; hidden folders and links are left alone."""
    if path.is_file():
        yield path
        return
    for folder, inner, files in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder, name)
            if name.lower().endswith(".md") and not name.startswith(".") and not file.is_symlink():
                yield file


def batches(root: Path, names: Iterable[Path], summary: Summary) -> Iterator[list[ImportFile]]:
    """The files' exact texts in portions; what cannot be read as UTF-8 is refused here."""
    batch: list[ImportFile] = []
    size = 0
    for name in names:
        path = name.relative_to(root).as_posix()
        try:
            data = name.read_bytes()
            file = ImportFile(path, data.decode())
        except (OSError, UnicodeDecodeError) as cause:
            reason = "not UTF-8" if isinstance(cause, UnicodeDecodeError) else str(cause.strerror)
            summary.refused.append(Refused(path, reason))
            continue
        if batch and (len(batch) >= BATCH_FILES or size + len(data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += len(data)
    if batch:
        yield batch


def _refuse_own_vault(mind: HiveMind, root: Path) -> None:
    vault = Path(mind.status().vault.path)
    if root.resolve() == vault.resolve():
        raise InvalidInput(f"{root} is the vault itself", "its files are read as they are saved; nothing to import")


def _tell(summary: Summary, files: int) -> None:
    counts = f"{amount(summary.added, 'memory', 'memories')} added"
    say(f"{amount(files, 'file')}: {counts}, {summary.unchanged:,} unchanged, {summary.merged:,} merged")
    for refused in summary.refused:
        note(f"{paint('refused', 'red')} {one_line(refused.path)}: {one_line(refused.reason)}")
    if not files:
        note("no markdown files there (names ending in .md)")


@command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write into a folder that holds something already.")
@pass_session
def export(session: Session, folder: Path, force: bool) -> None:
    """Write all files and memories into a folder.

    Every topic's file, byte for byte, and memories.jsonl with all memories, forgotten ones too.
    """
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InvalidInput(f"not empty: {folder}", "give a new folder, or --force to write into this one")
    folder.mkdir(parents=True, exist_ok=True)
    with session.client() as mind:
        topics = [topic.topic for topic in mind.topics()]
        with click.progressbar(topics, label="exporting", hidden=not on_terminal() or session.json) as bar:
            for topic in bar:
                write_topic(folder, topic, mind.topic(topic).text)
        memories = write_memories(folder / "memories.jsonl", mind)
    if session.json:
        say_json({"folder": str(folder), "topics": len(topics), "memories": memories})
    else:
        held = f"{amount(len(topics), 'topic')} and {amount(memories, 'memory', 'memories')}"
        say(f"{held} in {paint(visible(str(folder)), 'cyan')}")


def write_topic(folder: Path, topic: str, text: str) -> None:
    """Writes a topic's file under a folder; a topic that points elsewhere is refused."""
    path = PurePosixPath(topic + ".md")
    if path.is_absolute() or ".." in path.parts or "\\" in topic or "\0" in topic:
        raise InvalidInput(f"a topic that leads out of the folder: {topic!r}", "the daemon should not have such a one")
    file = folder.joinpath(*path.parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))


def write_memories(path: Path, mind: HiveMind) -> int:
    """Writes all memories, forgotten ones too, one JSON object a line; how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for memory in mind.each(include_invalidated=True):
            file.write(json.dumps(plain(memory), ensure_ascii=False) + "\n")
            count += 1
    return count

"""Recall of the search on `retrieval/notes.json`: agent notes, work logs and personal notes with named answers.

    python bench/retrieval.py                              the store alone, in this process
    python bench/retrieval.py --base http://127.0.0.1:8100 a running daemon

Beside the search stand a plain FTS5 ranking and the cosine alone. The set guards against tuning to one kind of text.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from hiveminddb.daemon.embedding.model import EmbeddingModel
from hiveminddb.store import schema, vectors
from hiveminddb.store.columns import Floats
from hiveminddb.store.cues import embedding_text, query_text
from hiveminddb.store.filters import Filters
from hiveminddb.store.index import Index
from hiveminddb.store.rows import MemoryRow, text_hash, to_microseconds
from hiveminddb.store.search import Mode, Query, known_names, search
from hiveminddb.store.transaction import Transaction

SET = Path(__file__).with_name("retrieval") / "notes.json"
MODEL = Path(str(files("hiveminddb.daemon") / "all-MiniLM-L6-v2.Q8_0.gguf"))
LIMIT = 20
TIMEOUT = 120

Ask = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Note:
    """One memory of the set."""

    key: str
    topic: str
    created_at: str
    content: str
    agent_id: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A query and the keys of the notes that answer it."""

    query: str
    relevant: tuple[str, ...]


def read() -> tuple[list[Note], list[Question]]:
    """The set."""
    data = json.loads(SET.read_text("utf-8"))
    notes = [Note(**{**note, "tags": tuple(note.get("tags", ()))}) for note in data["memories"]]
    return notes, [Question(one["query"], tuple(one["relevant"])) for one in data["questions"]]


def evaluate(name: str, questions: Sequence[Question], ask: Ask) -> None:
    """Prints recall and mean reciprocal rank of one way to search."""
    recall: dict[int, list[float]] = {1: [], 5: [], 10: []}
    reciprocal = []
    for question in questions:
        ranked = list(ask(question.query))
        places = [ranked.index(key) + 1 for key in question.relevant if key in ranked]
        for k, shares in recall.items():
            shares.append(sum(place <= k for place in places) / len(question.relevant))
        reciprocal.append(1 / min(places) if places else 0.0)
    shown = "  ".join(f"recall@{k} {statistics.fmean(shares):.3f}" for k, shares in recall.items())
    print(f"{name:14s} {shown}  MRR {statistics.fmean(reciprocal):.3f}")


def plain_fts5(notes: Sequence[Note]) -> Ask:
    """SQLite's own ranking, every word of the query."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE notes USING fts5(key UNINDEXED, content, tokenize='porter unicode61')")
    connection.executemany("INSERT INTO notes VALUES (?, ?)", [(note.key, note.content) for note in notes])

    def ask(query: str) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in query.replace('"', " ").split())
        sql = "SELECT key FROM notes WHERE notes MATCH ? ORDER BY bm25(notes), rowid LIMIT ?"
        return [key for (key,) in connection.execute(sql, (words, LIMIT))]

    return ask


class Offline:
    """The store in this process, with the model that ships."""

    def __init__(self, notes: Sequence[Note], path: Path) -> None:
        self._model = EmbeddingModel(MODEL)
        self._connection = schema.open_writer(path)
        schema.migrate(self._connection)
        rows = [_row(note, number) for number, note in enumerate(notes)]
        transaction = Transaction(self._connection)
        transaction.marking = False
        with self._connection:
            transaction.put_new(rows, range(1, len(rows) + 1))
            transaction.flush_index()
            vectors.activate(self._connection, vectors.ActiveModel("bench", self._model.dim))
            for row in rows:
                vectors.put(self._connection, row.text_hash, "bench", self._embed(embedding_text(row.content, None)))
        self._index = Index.load(self._connection)
        self._index.use_vectors(self._model.dim, vectors.load(self._connection))
        self._now = max(row.created_at for row in rows)

    def _embed(self, text: str) -> Floats:
        passages = [np.frombuffer(self._model.embed(tokens), "<f4") for tokens in self._model.passages(text.encode())]
        return np.stack(passages)

    def asking(self, mode: Mode) -> Ask:
        """A search by that mode."""

        def ask(query: str) -> list[str]:
            vector = self._embed(query_text(query, known_names(self._index, Filters())))
            wanted = Query(query, vector, limit=LIMIT, mode=mode, now=self._now)
            return [hit.id.rstrip("-") for hit in search(self._connection, self._index, wanted).hits]

        return ask


def _row(note: Note, number: int) -> MemoryRow:
    at = to_microseconds(datetime.fromisoformat(note.created_at))
    return MemoryRow(
        note.key.ljust(20, "-"), note.topic, f"a{number:05d}", "entry", note.content, 0, len(note.content), at, at,
        text_hash(note.content), agent_id=note.agent_id, session_id=note.session_id, tags=note.tags,
    )  # fmt: skip


class Served:
    """A running daemon; the notes belong to a user of their own."""

    def __init__(self, notes: Sequence[Note], base: str) -> None:
        self._base = base.rstrip("/")
        self._user = f"bench-{uuid.uuid4().hex[:8]}"
        # The same session or topic twice on one daemon would be one group: they are named after the user.
        memories = [
            {
                "content": note.content,
                "created_at": note.created_at,
                "topic": f"{self._user}-{note.topic}",
                "user_id": self._user,
                "tags": list(note.tags),
                "metadata": {"key": note.key},
                **({"agent_id": note.agent_id} if note.agent_id else {}),
                **({"session_id": f"{self._user}-{note.session_id}"} if note.session_id else {}),
            }
            for note in notes
        ]
        self._post("/api/v1/bulk/memories", {"memories": memories, "wait_vectors": True})

    def _post(self, path: str, body: object) -> Any:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self._base + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())

    def asking(self, mode: Mode) -> Ask:
        """A search by that mode."""

        def ask(query: str) -> list[str]:
            wanted = {"query": query, "user_id": self._user, "limit": LIMIT, "mode": mode}
            return [hit["metadata"]["key"] for hit in self._post("/api/v1/search", wanted)]

        return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="address of a running daemon")
    base = parser.parse_args().base
    notes, questions = read()
    print(f"{len(notes)} notes, {len(questions)} questions")
    with tempfile.TemporaryDirectory() as folder:
        searched = Served(notes, base) if base else Offline(notes, Path(folder) / "bench.db")
        evaluate("plain FTS5", questions, plain_fts5(notes))
        evaluate("cosine only", questions, searched.asking("vector"))
        evaluate("lexical", questions, searched.asking("lexical"))
        evaluate("search", questions, searched.asking("hybrid"))


if __name__ == "__main__":
    main()

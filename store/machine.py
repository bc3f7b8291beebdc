"""How far this node has followed the swarm's decisions, and the last answers to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import apsw

# Answers kept: a command that comes again after so many others is taken for a new one.
RESULTS_KEPT = 4096


Outcome = Literal["done", "held", "gone", "mismatch", "taken", "full", "gap"]


class Progress(NamedTuple):
    """The last step taken, its term, the last fencing token given, and the number of results so far."""

    step: int
    term: int
    token: int
    result: int


class ResultRow(NamedTuple):
    """The answer to a command, by the command's id; `n` counts answers."""

    n: int
    command: bytes
    outcome: Outcome
    number: int
    text: str


def progress(connection: apsw.Connection) -> Progress:
    """Where this node is; all zero where nothing was ever decided."""
    return Progress(*connection.execute("SELECT step, term, token, result FROM machine").get)


def put_progress(connection: apsw.Connection, at: Progress) -> None:
    """Remembers where this node is."""
    connection.execute("UPDATE machine SET (step, term, token, result) = (?, ?, ?, ?)", at)


def result_of(connection: apsw.Connection, command: bytes) -> ResultRow | None:
    """The answer to a command, None where it was not taken, or too long ago."""
    query = "SELECT n, command, outcome, number, text FROM results WHERE command = ?"
    row = connection.execute(query, (command,)).fetchone()
    return ResultRow(*row) if row else None


def put_result(connection: apsw.Connection, row: ResultRow) -> None:
    """Keeps an answer, and forgets the one that is now too old; `n` counts up by one."""
    connection.execute("INSERT INTO results (n, command, outcome, number, text) VALUES (?, ?, ?, ?, ?)", row)
    connection.execute("DELETE FROM results WHERE n <= ?", (row.n - RESULTS_KEPT,))


def results(connection: apsw.Connection) -> list[ResultRow]:
    """All answers kept, oldest first."""
    return [ResultRow(*row) for row in connection.execute("SELECT n, command, outcome, number, text FROM results")]


def replace_results(connection: apsw.Connection, rows: Iterable[ResultRow]) -> None:
    """These answers instead of all there are."""
    connection.execute("DELETE FROM results")
    connection.executemany("INSERT INTO results (n, command, outcome, number, text) VALUES (?, ?, ?, ?, ?)", rows)

"""How long `hmd` takes from the shell, and how soon the MCP bridge answers and what it holds.

Run from the repository: python -m bench.shell
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.running import (
    Daemon,
    Row,
    arguments,
    at_most,
    daemon,
    end,
    environment,
    latency,
    memory_of,
    percentile,
    rendered,
    report,
    scratch,
)
from bench.running_words import Words

SEARCH_MS = 250.0
BRIDGE_MS = 1000.0
BRIDGE_MB = 80.0
MEMORIES = 1000
ANSWER_SECONDS = 30.0
RIVAL_SEARCH = "basic-memory: 6.9 s"
RIVAL_HELP = "basic-memory: 0.77 s"
RIVAL_BRIDGE = "basic-memory: 4.4-5.4 s"
RIVAL_BRIDGE_MB = "basic-memory: 315-339 MB"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "0"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
SEARCH = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "search", "arguments": {}}}


def command() -> list[str]:
    """The installed `hmd` of this Python, or the module where it is not installed."""
    beside = Path(sys.executable).with_name("hmd")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "hiveminddb.cli"]


def wall(arguments: Sequence[str], variables: Mapping[str, str]) -> float:
    """Seconds of one command, from nothing to its end."""
    quiet = subprocess.DEVNULL
    start = time.perf_counter()
    subprocess.run([*command(), *arguments], env=variables, check=True, stdout=quiet, stderr=quiet, timeout=60)
    return time.perf_counter() - start


class Bridge:
    """`hmd mcp`, spoken to in lines of JSON."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*command(), "mcp"], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=variables, bufsize=0
        )

    def say(self, message: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    def ask(self, message: object) -> bytes:
        """The line that answers; ends the script where none comes."""
        self.say(message)
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(ANSWER_SECONDS):
                end(self.process)
                raise SystemExit("the bridge did not answer")
        line = self.process.stdout.readline()
        if b'"result"' not in line:
            raise SystemExit(f"the bridge answered {line!r}")
        return line


def bridge(variables: Mapping[str, str], keyword: str) -> tuple[float, float, float, float]:
    """Seconds to the answer to `initialize` and of a search, and MB held and shared after both."""
    start = time.perf_counter()
    opened = Bridge(variables)
    try:
        opened.ask(INITIALIZE)
        first = time.perf_counter() - start
        opened.say(INITIALIZED)
        opened.ask(TOOLS)
        begin = time.perf_counter()
        opened.ask({**SEARCH, "params": {"name": "search", "arguments": {"keyword": keyword}}})
        searched = time.perf_counter() - begin
        held = memory_of(opened.process.pid)
    finally:
        end(opened.process)
    return first, searched, held.resident, held.share


def measure(running: Daemon, rounds: int, words: Words) -> list[Row]:
    """Commands and bridges beside a daemon that runs already."""
    variables = environment({"HIVEMIND_DATA_DIR": str(running.data), "HIVEMIND_VAULT": str(running.vault)})
    client = running.connect()
    notes = [{"content": words.note(number)} for number in range(MEMORIES)]
    client.send(rendered("POST", "/api/v1/bulk/memories", {"memories": notes}))
    client.close()
    queries = words.queries(rounds)
    wall(["--help"], variables)
    # In turns, so that load from elsewhere touches all alike.
    taken = [
        (wall(["--help"], variables), wall(["search", query], variables), bridge(variables, query.split()[0]))
        for query in queries
    ]
    helps, searches, bridges = zip(*taken, strict=True)
    first, searched, resident, share = zip(*bridges, strict=True)
    top = percentile(resident, 1.0)
    return [
        latency(f"hmd search, {MEMORIES} memories", searches, SEARCH_MS, RIVAL_SEARCH),
        latency("hmd --help", helps, None, RIVAL_HELP),
        latency("hmd mcp: from its spawning to initialize", first, BRIDGE_MS, RIVAL_BRIDGE),
        latency("hmd mcp: a search", searched, None, "basic-memory hybrid p50: 360-430 ms"),
        at_most("hmd mcp: memory", top, "MB", BRIDGE_MB, RIVAL_BRIDGE_MB, f", PSS {percentile(share, 1.0):.0f}"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="runs of each")
    options = parser.parse_args()
    with scratch(options.place) as folder, daemon(folder) as running:
        rows = measure(running, options.rounds, Words(41))
    report("shell, a daemon running, vectors filling in behind", rows, options.json)


if __name__ == "__main__":
    main()

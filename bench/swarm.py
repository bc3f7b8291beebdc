"""A swarm on this machine, beside etcd and syncthing in the same run: what is written here, how soon is it there?

The machines are network namespaces on the kernel's own bridge, all on one disk. Run as root from the repository:
python -m bench.swarm
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.files import searching
from bench.hands.world import Down, Refused
from bench.lab.machine import PORT, Machine
from bench.lab.rivals import etcd, etcd_put, syncthings
from bench.lab.swarm import Claims, form, join, leader, settle, start, wait_for
from bench.netns import Network, unavailable
from bench.running import Http, Row, arguments, at_most, latency, percentile, rendered, report, say, scratch, until
from bench.running_words import Words, marker
from bench.searches import fill, fill_vectors

ROUNDS = 100
FILE_ROUNDS = 30
LOST_SECONDS = 30.0
LOOK_SECONDS = 0.001
REST_SECONDS = 0.03
TAKEN_OVER = 10_000
IDLE_SECONDS = 20.0
FAILOVERS = 5
VALUE_BYTES = 300
WITHOUT_MODEL = {"HIVEMIND_EMBEDDING_MODEL": "none"}


@contextmanager
def machines(folder: Path, count: int, settings: dict[str, str] = WITHOUT_MODEL) -> Iterator[Sequence[Machine]]:
    """So many machines on one bridge, without a daemon yet."""
    with Network(count) as network:
        made = [Machine(host, folder / host.name, {"HIVEMIND_NAME": host.name, **settings}) for host in network.hosts]
        for machine in made:
            machine.folder.mkdir(exist_ok=True)
        try:
            yield made
        finally:
            for machine in made:
                machine.stop()


def connect(machine: Machine) -> Http:
    """A connection that is kept open."""
    with machine.host.inside():
        return Http("127.0.0.1", PORT)


# -- how soon it is there


class Travelling:
    """What is written on one machine and looked for on another."""

    def __init__(self, here: Machine, there: Machine) -> None:
        self._here, self._there = here, there
        self._writing, self._reading = connect(here), connect(there)
        self._words, self._next, self._after = Words(41), 8_000_000, 0

    def _new(self) -> tuple[str, bytes]:
        self._next += 1
        body = {"content": f"{marker(self._next)} {self._words.text(30)}", "topic": f"topic {self._next % 20}"}
        return marker(self._next), rendered("POST", "/api/v1/memories", body)

    def searchable(self) -> float:
        """Seconds from asking to add it here until a search finds it there."""
        word, request = self._new()
        question = searching(word)
        start = time.perf_counter()
        self._writing.send(request)
        until(lambda: word.encode() in self._reading.send(question), LOST_SECONDS, f"a search for {word}", LOOK_SECONDS)
        return time.perf_counter() - start

    def in_feed(self) -> float:
        """The same until it stands in the change feed there."""
        self._read_feed()
        _, request = self._new()
        question = rendered("GET", f"/api/v1/changes?after={self._after}&limit=1")
        start = time.perf_counter()
        self._writing.send(request)
        until(lambda: self._reading.send(question) != b"[]", LOST_SECONDS, "a change in the feed", LOOK_SECONDS)
        return time.perf_counter() - start

    def saved(self) -> float:
        """Seconds from saving a file here until it is in the vault there."""
        self._next += 1
        return travelled(self._here.vault, self._there.vault, self._next, self._words)

    def _read_feed(self) -> None:
        """To its end there; nothing comes any more, each write was waited for."""
        while page := self._reading.ask("GET", f"/api/v1/changes?after={self._after}&limit=1000"):
            self._after = page[-1]["n"]

    def close(self) -> None:
        self._writing.close()
        self._reading.close()


def travelled(here: Path, there: Path, number: int, words: Words) -> float:
    """Seconds until a file saved in one folder stands in the other as it is."""
    text = f"# note {number}\n\n{marker(number)} {words.text(100)}\n"
    name = f"note-{number}.md"
    start = time.perf_counter()
    (here / name).write_text(text)
    until(lambda: _reads(there / name) == text, LOST_SECONDS, f"{name} there", LOOK_SECONDS)
    return time.perf_counter() - start


def _reads(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _timed(once: Callable[[], float], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        taken.append(once())
        time.sleep(REST_SECONDS)
    return taken


def sooner(folder: Path) -> list[Row]:
    """Three nodes: adds there by search and by feed; files beside syncthing's, in turns."""
    with ExitStack() as stack:
        made = stack.enter_context(machines(folder, 3))
        form(made)
        one, two, _ = made
        travelling = Travelling(one, two)
        stack.callback(travelling.close)
        found = _timed(travelling.searchable, ROUNDS)
        fed = _timed(travelling.in_feed, FILE_ROUNDS)
        ours, theirs = [], []
        rival = stack.enter_context(syncthings(folder)) if shutil.which("syncthing") else None
        words = Words(43)
        for number in range(FILE_ROUNDS):
            ours.append(travelling.saved())
            if rival:
                theirs.append(travelled(*rival, number, words))
    beside = f"syncthing p50 {_ms(theirs, 0.5)}, p95 {_ms(theirs, 0.95)} ms" if theirs else "no syncthing here"
    return [
        latency("added on A -> found on B, p50", found, 15.0),
        latency("added on A -> found on B, p95", found, 50.0, quantile=0.95),
        latency("added on A -> in B's change feed", fed, 15.0),
        latency("file saved on A -> in B's vault", ours, 300.0, beside, 0.95),
    ]


def _ms(seconds: Sequence[float], quantile: float) -> str:
    return f"{percentile(seconds, quantile) * 1e3:.1f}"


# -- the word of all


def agreed(folder: Path) -> list[Row]:
    """Three nodes: an add with ack=quorum, on the leader and elsewhere, beside a put of etcd; in turns."""
    with ExitStack() as stack:
        made = stack.enter_context(machines(folder, 3))
        form(made)
        wait_for(lambda: leader(made) is not None, "a leader")
        first = leader(made)
        clients = {"leader": first, "another node": next(machine for machine in made if machine is not first)}
        connections = {where: connect(machine) for where, machine in clients.items() if machine}
        rival = stack.enter_context(etcd(folder, 3)) if shutil.which("etcd") else None
        taken: dict[str, list[float]] = {where: [] for where in connections}
        puts = []
        text = "x" * VALUE_BYTES
        for number in range(3 * ROUNDS):
            body = {"content": f"{number} {text}", "topic": f"topic {number % 20}"}
            for where, connection in connections.items():
                taken[where].append(_sent(connection, rendered("POST", "/api/v1/memories?ack=quorum", body)))
            if rival:
                puts.append(_sent(rival, etcd_put(f"key {number}", text)))
        for connection in connections.values():
            connection.close()
    target = 3 * statistics.median(puts) * 1e3 if puts else None
    beside = f"etcd put p50 {_ms(puts, 0.5)}, p95 {_ms(puts, 0.95)} ms" if puts else "no etcd here"
    return [latency(f"add, ack=quorum, on {where}", times, target, beside) for where, times in taken.items()]


def _sent(connection: Http, request: bytes) -> float:
    start = time.perf_counter()
    connection.send(request)
    return time.perf_counter() - start


# -- a new node


def taken_over(folder: Path, count: int) -> list[Row]:
    """A new node joins one with memories and vectors: everything there, and its vault written."""
    (folder / "h0").mkdir()
    fill(folder / "h0", count, Words(31))
    fill_vectors(folder / "h0" / "data" / "hivemind.db")
    with machines(folder, 2, {}) as made:
        start(made)
        old, new = made
        wait_for(lambda: old.ask("GET", "/status")["embedding"]["missing"] == 0, "the old node has its vectors")
        begin = time.perf_counter()
        join(new, old)
        joined = time.perf_counter() - begin
        have = wait_for(lambda: new.ask("GET", "/status")["memories"] >= count, "all memories", 300) + joined
        wait_for(lambda: new.ask("GET", "/status")["pending"]["mirror"] == 0, "the vault is written", 300)
        written = time.perf_counter() - begin
        wait_for(lambda: new.ask("GET", "/status")["embedding"]["missing"] == 0, "all vectors", 300)
        vectors = time.perf_counter() - begin
        files = {path.relative_to(old.vault): path.read_bytes() for path in old.vault.rglob("*.md")}
        same = files == {path.relative_to(new.vault): path.read_bytes() for path in new.vault.rglob("*.md")}
        if reason := settle(made, 60):
            say(reason)
    extra = f" (joined after {joined:.1f}, memories after {have:.1f}, files {'the same' if same else 'DIFFER'})"
    return [
        at_most(f"new node takes over {count} memories: vault written", written, "s", 20.0, extra=extra),
        at_most(f"new node takes over {count} memories: all vectors", vectors, "s", 20.0),
    ]


# -- nothing to do, and no leader


def idle(folder: Path) -> list[Row]:
    """Five nodes and no work: CPU of each and bytes on each link."""
    with machines(folder, 5) as made:
        form(made)
        for number, machine in enumerate(made):
            machine.ask("POST", "/memories", {"content": f"memory {number}", "topic": "notes"})
        if reason := settle(made, 60):
            say(reason)
        time.sleep(3)
        before = [(machine.cpu(), machine.traffic()) for machine in made]
        begin = time.perf_counter()
        time.sleep(IDLE_SECONDS)
        passed = time.perf_counter() - begin
        after = [(machine.cpu(), machine.traffic()) for machine in made]
    shares = [(b[0] - a[0]) / passed * 100 for a, b in zip(before, after, strict=True)]
    # What a machine sends and receives belongs to its four links.
    rates = [(b[1] - a[1]) / passed / 4 / 1000 for a, b in zip(before, after, strict=True)]
    return [
        at_most("idle swarm of five: CPU of the busiest node", max(shares), "% of a core", 1.0),
        at_most(
            "idle swarm of five: bytes on the busiest link",
            max(rates),
            "kB/s",
            2.0,
            extra=f", both ways, over {passed:.0f} s",
        ),
    ]


def failover(folder: Path) -> list[Row]:
    """Three nodes: the leader is killed, and a claim made elsewhere is decided."""
    taken = []
    with machines(folder, 3) as made:
        form(made)
        for number in range(FAILOVERS):
            wait_for(lambda: leader(made) is not None, "a leader")
            first = leader(made)
            assert first is not None
            claims = Claims(next(machine for machine in made if machine is not first))
            claims.lease(f"before {number}", "bench", 60.0)
            begin = time.perf_counter()
            first.kill()
            _decide(claims, f"after {number}")
            taken.append(time.perf_counter() - begin)
            first.start()
            if reason := settle(made, 60):
                say(reason)
    return [
        latency("leader killed -> next claim decided", taken, 1000.0, "etcd 3.4: 1300 ms (in raft's own trial)", 0.95)
    ]


def _decide(claims: Claims, key: str) -> None:
    end = time.perf_counter() + LOST_SECONDS
    while time.perf_counter() < end:
        try:
            claims.lease(key, "bench", 60.0)
            return
        except (Down, Refused):
            time.sleep(0.005)
    raise SystemExit("no claim was decided after the leader's end")


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "sooner": sooner,
    "agreed": agreed,
    "taken-over": lambda folder: taken_over(folder, TAKEN_OVER),
    "idle": idle,
    "failover": failover,
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("parts", nargs="*", help=f"only these of {', '.join(PARTS)}")
    options = parser.parse_args()
    if reason := unavailable():
        parser.error(reason)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for name in options.parts or PARTS:
        with scratch(options.place) as folder:
            rows += PARTS[name](folder)
            say(f"{name} done")
    report("a swarm", rows, options.json)


if __name__ == "__main__":
    main()

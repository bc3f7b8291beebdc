"""Claims through kills of the daemon: what it has answered it knows, and no token comes twice."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

from hiveminddb import Conflict, HiveMind, HiveMindError
from tests.cli.place import Place
from tests.waiting import wait_until

ROUNDS = 3
AGENTS = 3


class Ledger:
    """What agents were answered: every token, the leases they hold, the versions they have seen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tokens: list[int] = []
        self.held: dict[str, int] = {}
        self.versions: dict[str, int] = {}

    def work(self, mind: HiveMind, agent: str) -> None:
        """Claims, one after the other, until the daemon is gone."""
        with suppress(HiveMindError):
            for number in range(1_000_000):
                self._lease(mind, f"{agent}-{number}", keep=number % 2 == 0)
                self._set(mind, agent[:1])

    def _lease(self, mind: HiveMind, key: str, keep: bool) -> None:
        lease = mind.lease(key, "me", ttl_s=3600)
        with self.lock:
            self.tokens.append(lease.token)
        if keep:
            self.held[key] = lease.token
        else:
            mind.release(key, lease.token)

    def _set(self, mind: HiveMind, key: str) -> None:
        with suppress(Conflict):
            version = mind.set_register(key, "x", version=self.versions.get(key, 0)).version
            with self.lock:
                self.versions[key] = max(version, self.versions.get(key, 0))


def test_a_killed_daemon_keeps_every_claim_it_has_answered_and_gives_no_token_twice(tmp_path: Path) -> None:
    place, ledger = Place(tmp_path), Ledger()
    try:
        for turn in range(ROUNDS):
            pid = place.hmd("up", "--json").json["pid"]
            with place.mind() as mind:
                known = {lease.key: lease.token for lease in mind.leases()}
                assert known.items() >= ledger.held.items()
                assert all(mind.register(key).version >= seen for key, seen in ledger.versions.items())
                ledger.versions = {key: mind.register(key).version for key in ledger.versions}
            _worked(place, ledger, turn, pid)
            assert len(set(ledger.tokens)) == len(ledger.tokens)
    finally:
        place.end()


def _worked(place: Place, ledger: Ledger, turn: int, pid: int) -> None:
    """Agents claim until the daemon is killed among them."""
    before = len(ledger.tokens)
    minds = [place.mind() for _ in range(AGENTS)]
    agents = [threading.Thread(target=ledger.work, args=(mind, f"{n}-{turn}")) for n, mind in enumerate(minds)]
    for agent in agents:
        agent.start()
    try:
        wait_until(lambda: len(ledger.tokens) > before + 60)
    finally:
        os.kill(pid, signal.SIGKILL)
        for agent, mind in zip(agents, minds, strict=True):
            agent.join()
            mind.close()

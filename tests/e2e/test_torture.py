"""A slice of the torture; `python -m bench.torture_vault` goes on for longer, and with any seed."""

from __future__ import annotations

from pathlib import Path

from bench.torture_vault import torture

# Who comes first is the system's choice all the same: what is found once is not found at each run.
SEED = 7
SECONDS = 10.0


def test_nothing_is_lost_while_everybody_writes_and_the_daemon_is_killed(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    found = torture(tmp_path, SEED, SECONDS)
    journal = (tmp_path / "journal.txt").read_text()
    assert not found, "\n".join([f"seed {SEED}", *found, "", *journal.splitlines()[-400:]])

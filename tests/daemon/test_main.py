"""The daemon as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import wait_until


def started(folder: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hiveminddb.daemon", "--data-dir", str(folder / "data")]
    given = ["--vault", str(folder / "vault"), "--listen", "127.0.0.1:0", "--embedding-model", "none", *flags]
    return subprocess.Popen([*command, *given], stderr=subprocess.PIPE, text=True)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    daemon = started(folder)
    try:
        wait_until(lambda: (folder / "data" / "daemon.json").exists() or daemon.poll() is not None)
        assert daemon.poll() is None, daemon.communicate()[1]
        yield daemon
    finally:
        daemon.kill()
        daemon.communicate()


def refused(folder: Path, *flags: str) -> str:
    daemon = started(folder, *flags)
    told = daemon.communicate(timeout=300)[1]
    assert daemon.returncode == 1
    return told


def test_it_answers_where_it_says_and_stops_when_told(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with running(tmp_path) as daemon:
            told = json.loads((tmp_path / "data" / "daemon.json").read_text())
            assert told["pid"] == daemon.pid
            with urllib.request.urlopen(told["url"] + "/health") as answer:
                assert json.load(answer)["status"] == "ok"
            daemon.send_signal(number)
            assert "part=hiveminddb.daemon.api.server listening url=" in daemon.communicate(timeout=300)[1]
            assert daemon.returncode == 0
            assert not (tmp_path / "data" / "daemon.json").exists()


def test_a_broken_lease_does_not_end_it(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.send_signal(signal.SIGIO)
        url = json.loads((tmp_path / "data" / "daemon.json").read_text())["url"]
        with urllib.request.urlopen(url + "/health") as answer:
            assert answer.status == 200


def test_a_second_daemon_is_refused_by_name(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        told = refused(tmp_path)
        assert f"error: another daemon (pid {first.pid}) uses the data folder" in told
        assert "hint: stop it with: hmd down, or, where that knows of none: kill " in told


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--listen", "nowhere"), "error: listen_addr is 'nowhere', from flag: not understood"),
        (("--log-level", "loud"), "error: log_level is 'loud', from flag: not understood"),
        (("--listen", "no.such.host.invalid:1"), "error: cannot listen on no.such.host.invalid:1"),
    ],
)
def test_a_start_that_cannot_be_says_why(tmp_path: Path, flags: tuple[str, ...], error: str) -> None:
    told = refused(tmp_path, *flags)
    assert error in told
    assert "hint: " in told
    assert "Traceback" not in told

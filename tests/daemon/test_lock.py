from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hiveminddb.daemon.lock import data_lock, vault_lock
from hiveminddb.daemon.presence import announced
from hiveminddb.errors import AlreadyRunning, StorageError

HOLDER = """
import sys, time
from pathlib import Path
from hiveminddb.daemon.lock import data_lock
with data_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_data_folder_has_one_daemon(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with data_lock(folder):
        with pytest.raises(AlreadyRunning) as refused, data_lock(folder):
            pass
        assert f"pid {os.getpid()}" in refused.value.message
        assert str(folder) in refused.value.message
    with data_lock(folder):
        pass


def test_a_killed_daemon_leaves_no_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"), data_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with data_lock(tmp_path):
            pass


def test_a_vault_has_one_daemon_even_under_two_names(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    other = tmp_path / "link"
    other.symlink_to(vault)
    with vault_lock(vault), pytest.raises(AlreadyRunning, match="the vault"), vault_lock(other):
        pass


def test_locking_a_vanished_vault_does_not_make_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError), vault_lock(tmp_path / "gone"):
        pass
    assert not (tmp_path / "gone").exists()


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"), data_lock(tmp_path / "file"):
        pass


def test_a_daemon_says_where_it_answers_while_it_does(tmp_path: Path) -> None:
    with announced(tmp_path, "http://127.0.0.1:1", "1.2"):
        told = json.loads((tmp_path / "daemon.json").read_text())
        assert told == {"url": "http://127.0.0.1:1", "pid": os.getpid(), "version": "1.2"}
    assert list(tmp_path.iterdir()) == []

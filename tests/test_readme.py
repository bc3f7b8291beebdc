"""Every command in the README is run, and prints what the README shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hiveminddb
from tests.waiting import wait_until

ROOT = Path(hiveminddb.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What differs from run to run: ids, times, ports, process numbers.
VARYING = [
    (re.compile(r"\b[a-z2-7]{8}\b(?=  | to )"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "TIME"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"pid \d+"), "PID"),
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def steps(session: str) -> list[tuple[str, str]]:
    """Commands and the output shown below each."""
    parts = re.split(r"^\$ (.*)\n", session, flags=re.M)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def settled(text: str) -> str:
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text.strip()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "hmd").write_text(f'#!/bin/sh\nexec {sys.executable} -m hiveminddb.cli "$@"\n')
    (commands / "hmd").chmod(0o755)
    return {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "HIVEMIND_DATA_DIR": str(tmp_path / "data"),
        "HIVEMIND_LISTEN_ADDR": "127.0.0.1:0",
        "HIVEMIND_PEER_ADDR": "127.0.0.1:0",
    }


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def test_the_session_prints_what_the_readme_shows(tmp_path: Path, environment: dict[str, str]) -> None:
    (session,) = blocks("console")
    try:
        for command, expected in steps(session):
            if command.startswith(("hmd up", "hmd add", "hmd restore", "hmd down", "printf", "sed", "rm")):
                assert settled(run(command, tmp_path, environment)) == settled(expected), command
            else:
                # The daemon sees a file's change a moment after it; a reader of the README is slower than that.
                def shown(command: str = command, expected: str = expected) -> bool:
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
                    )
                    return settled(done.stdout) == settled(expected)

                wait_until(shown)
    finally:
        subprocess.run(["hmd", "down"], cwd=tmp_path, env=environment, capture_output=True, timeout=300)


def test_the_python_example_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    (example,) = blocks("python")
    try:
        run("hmd up --vault notes", tmp_path, environment)
        script = tmp_path / "example.py"
        script.write_text(example)
        assert "deploy key" in run(f"{sys.executable} {script}", tmp_path, environment)
    finally:
        subprocess.run(["hmd", "down"], cwd=tmp_path, env=environment, capture_output=True, timeout=300)


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make (\w+)", "".join(blocks("sh")), re.M):
        assert re.search(rf"^{command}:", makefile, re.M), command


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert README.count("\n") < 150
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target

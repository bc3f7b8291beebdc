"""A person or program writes as fast as it can while we do: no line of anybody is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hiveminddb.vault.system import LINUX
from tests.vault.mirroring import Lines
from tests.vault.processes import REPOSITORY, Actor, actor
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not LINUX, reason="only Linux says whether somebody is writing")

# Ways in which programs save.
PEOPLE = {
    "append": "with open(path, 'a') as f: f.write(line)",
    "truncate": "text = open(path).read() + line\nwith open(path, 'w', 64) as f: f.write(text)",
    "rename": "text = open(path).read() + line\nopen(path + '~', 'w').write(text)\nos.rename(path + '~', path)",
    "away": "text = open(path).read() + line\nos.rename(path, path + '~')\nopen(path, 'w').write(text)",
    "slow": "f = open(path, 'a')\nfor c in line:\n f.write(c)\n f.flush()\nf.close()",
}


def begins_to_save(person: Actor, root: Path, how: str, count: int) -> set[str]:
    """The lines a person is going to save, one after the other."""
    body = PEOPLE[how].replace("\n", "\n ")
    person.does(f"import os, time\ndef save(line):\n path = {str(root / 'a.md')!r}\n {body}")
    person.begins(f"for i in range({count}):\n save(f'person {{i}}\\n')\n time.sleep(0.001)")
    return {f"person {i}\n" for i in range(count)}


@pytest.mark.parametrize("how", sorted(PEOPLE))
def test_no_line_is_lost_between_us_and_a_person(root: Path, how: str) -> None:
    mirror = Lines(root)
    mirror.round()
    with actor() as person:
        expected = begins_to_save(person, root, how, 150)
        wait_until(lambda: mirror.persons_after_a_round() >= expected)
    wait_until(mirror.at_rest)
    assert mirror.persons() == expected


@pytest.mark.parametrize("how", sorted(PEOPLE))
def test_no_line_of_a_person_is_lost_when_we_die_again_and_again(root: Path, how: str) -> None:
    Lines(root).round()
    with actor() as person:
        expected = begins_to_save(person, root, how, 1000)
        for n in range(6):
            command = [sys.executable, "-m", "tests.vault.mirroring", str(root)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY) as process:
                assert process.stdout and process.stderr
                assert process.stdout.readline() == b"going\n", process.stderr.read().decode()
                # Not a wait for anything: another moment to die at, each time.
                time.sleep(0.02 + 0.003 * n)
                process.kill()
        mirror = Lines(root)
        wait_until(lambda: mirror.persons_after_a_round() >= expected)
    wait_until(mirror.at_rest)
    assert mirror.persons() == expected

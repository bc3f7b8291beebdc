"""A person or program writes as fast as it can while we do: no line of anybody is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hiveminddb.vault import files
from hiveminddb.vault.swap import Late, Swap
from hiveminddb.vault.system import LINUX
from tests.vault.processes import actor
from tests.waiting import wait_until

COUNT = 150

# Ways in which programs save.
PEOPLE = {
    "append": "with open(path, 'a') as f: f.write(line)",
    "truncate": "text = open(path).read() + line\nwith open(path, 'w', 64) as f: f.write(text)",
    "rename": "text = open(path).read() + line\nopen(path + '~', 'w').write(text)\nos.rename(path + '~', path)",
    "away": "text = open(path).read() + line\nos.rename(path, path + '~')\nopen(path, 'w').write(text)",
    "slow": "f = open(path, 'a')\nfor c in line:\n f.write(c)\n f.flush()\nf.close()",
}


class Lines:
    """A mirror whose merge is the union of lines."""

    def __init__(self, root: Path) -> None:
        self._root, self._swap, self._n = root, Swap(root), 0
        self.all: set[str] = set()

    def round(self) -> None:
        """Take in what is there, add a line of ours, and write all."""
        self.take_late()
        found = files.read(self._root, "a.md")
        self._take(found.text if found else "")
        self._n += 1
        self.all.add(f"ours {self._n}\n")
        written = self._swap.write("a.md", "".join(sorted(self.all)), found.digest if found else None)
        self._take_late([written.displaced] if written.displaced else [])

    def at_rest(self) -> bool:
        """True when nothing replaced is kept any more."""
        self.take_late()
        return not list((self._root / ".hivemind" / "swap").iterdir())

    def take_late(self) -> None:
        self._take_late(self._swap.late())

    def persons_after_a_round(self) -> set[str]:
        self.round()
        return self.persons()

    def persons(self) -> set[str]:
        return {line for line in self.all if not line.startswith("ours")}

    def _take_late(self, found: list[Late]) -> None:
        for late in found:
            self._take(late.text)
            self._swap.settle(late)

    def _take(self, text: str) -> None:
        self.all.update(text.splitlines(keepends=True))


@pytest.mark.skipif(not LINUX, reason="only Linux says whether somebody is writing")
@pytest.mark.parametrize("how", sorted(PEOPLE))
def test_no_line_is_lost_between_us_and_a_person(root: Path, how: str) -> None:
    mirror = Lines(root)
    mirror.round()
    with actor() as other:
        body = PEOPLE[how].replace("\n", "\n ")
        other.does(f"import os, time\ndef save(line):\n path = {str(root / 'a.md')!r}\n {body}")
        other.begins(f"for i in range({COUNT}):\n save(f'person {{i}}\\n')\n time.sleep(0.001)")
        expected = {f"person {i}\n" for i in range(COUNT)}
        wait_until(lambda: mirror.persons_after_a_round() >= expected)
    mirror.round()
    wait_until(mirror.at_rest)
    assert mirror.persons() == expected

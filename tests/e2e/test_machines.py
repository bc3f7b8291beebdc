"""Three machines on a LAN, used by hmd as their owners would."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import hiveminddb
from bench.netns import Host, Network
from tests.cli.place import Place, Ran
from tests.lan import lan
from tests.waiting import wait_until

README = Path(hiveminddb.__file__).parent.parent / "README.md"


@dataclass(frozen=True, slots=True)
class Desk:
    """A machine on the LAN and the home on it."""

    host: Host
    place: Place

    @property
    def name(self) -> str:
        return self.host.name

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = self.place.environment(HIVEMIND_PEER_ADDR="", HIVEMIND_NAME=self.name)
        command = ("ip", "netns", "exec", self.host.namespace, *self.place.command(*words))
        return subprocess.Popen(
            command,
            env=environment,
            cwd=self.place.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def hmd(self, *words: str, code: int = 0) -> Ran:
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        ran = Ran(process.returncode, out, err)
        assert ran.code == code, (self.name, words, ran)
        return ran


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[tuple[Network, list[Desk]]]:
    """Three machines with a daemon each, that know nothing of each other."""
    with lan(3) as network:
        made = []
        for host in network.hosts:
            folder = tmp_path / host.name
            folder.mkdir()
            made.append(Desk(host, Place(folder)))
        try:
            for desk in made:
                desk.hmd("up")
            yield network, made
        finally:
            for desk in made:
                desk.place.end()


def invite(host: Desk, guest: Desk) -> None:
    """One lets another in."""
    inviting = host.start("invite")
    assert inviting.stdout is not None
    code = inviting.stdout.readline().rpartition("hmd join ")[2].strip()
    joined = guest.hmd("join", code, "--yes").out
    assert f"joined {host.name}" in joined and "all is exchanged" in joined
    out, _ = inviting.communicate(timeout=300)
    assert f"{guest.name} (" in out and "has joined; you share one memory now" in out


def test_machines_are_let_in_decide_together_and_leave_without_disturbing_the_others(
    desks: tuple[Network, list[Desk]],
) -> None:
    _, (first, second, third) = desks
    for desk in (first, second, third):
        desk.hmd("add", f"a memory of {desk.name}", "-t", desk.name)
    invite(first, second)
    invite(first, third)
    assert [line.split()[-1] for line in third.hmd("topics").out.splitlines()] == ["h0", "h1", "h2"]
    assert "acquired deploy for 60 s, token 1" in second.hmd("lease", "acquire", "deploy", "--ttl", "60").out
    assert "deploy is held by" in third.hmd("lease", "acquire", "deploy", code=1).err
    assert "deploy" in first.hmd("lease", "list", "--consistency", "linearizable").out
    assert third.hmd("add", "x", "--ack", "quorum", "--json").json["status"] == "committed"
    assert "this machine is now studio" in third.hmd("swarm", "rename", "studio").out
    assert "belongs to" in second.hmd("swarm", "rename", "studio", code=1).err

    assert "left the swarm" in third.hmd("swarm", "leave", "--yes").out
    assert "alone, as studio" in third.hmd("swarm").out and "h0" in third.hmd("topics").out
    wait_until(lambda: "2 machines" in first.hmd("swarm").out and "2 machines" in second.hmd("swarm").out)
    assert "removed h1" in first.hmd("swarm", "remove", "h1", "--yes").out
    wait_until(lambda: "alone, as h1" in second.hmd("swarm").out)
    assert "token 1" in first.hmd("lease", "renew", "deploy", "1").out


def test_a_machine_cut_off_keeps_its_edits_says_so_and_catches_up(desks: tuple[Network, list[Desk]]) -> None:
    network, (first, second, third) = desks
    invite(first, second)
    invite(first, third)
    network.partition([first.host], [second.host, third.host])
    wait_until(lambda: "2 out of reach: too few to decide" in first.hmd("status").out)
    assert "pending" in first.hmd("add", "written alone", "-t", "lonely").out
    assert "nothing was written" in first.hmd("add", "x", "--ack", "quorum", code=1).err
    refused = first.hmd("lease", "acquire", "deploy", code=1).err
    assert "2 of the 3 machines that decide are out of reach" in refused and "hint: your edits are safe" in refused
    assert "out of reach" in first.hmd("search", "alone", "--consistency", "linearizable", code=1).err
    told = first.hmd("status").out
    assert "edits of yours not committed yet, safe here" in told and "edits waiting, they are safe here" in told
    wait_until(lambda: second.hmd("swarm", "--json").json["quorum"])
    second.hmd("lease", "acquire", "deploy")

    network.heal()
    wait_until(lambda: "lonely" in second.hmd("topics").out)
    wait_until(lambda: not first.hmd("swarm", "--json").json["pending"])
    wait_until(lambda: "deploy" in first.hmd("lease", "list").out)


def test_two_machines_print_what_the_readme_shows(desks: tuple[Network, list[Desk]]) -> None:
    _, (desk, laptop, _) = desks
    for one in (desk, laptop):
        one.hmd("add", "x", "-t", one.name)
    inviting = desk.start("invite")
    assert inviting.stdout is not None
    told = inviting.stdout.readline()
    joined = laptop.hmd("join", "--yes", told.split()[-1]).out
    told += inviting.communicate(timeout=300)[0]
    # A new member is a voter in a moment.
    table = wait_until(lambda: [out for out in [laptop.hmd("swarm").out] if "voter" in out and "up to date" in out])
    printed = [settled(told), settled(joined), settled(table[0])]
    (block,) = re.findall(r"^```text\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    shown = re.split(r"^\w+\$ .*\n", block.replace("desk", desk.name).replace("laptop", laptop.name), flags=re.M)
    assert printed == [settled(part) for part in shown[1:]]


def settled(text: str) -> str:
    """Without what differs from run to run: codes, ids, addresses, widths of columns."""
    text = re.sub(r"\d+(-[a-z]+){3}", "CODE", text)
    text = re.sub(r"\b[a-z2-7]{8}\b(?=\)|  )", "ID", text)
    text = re.sub(r"\S+:\d+(?=  )", "ADDRESS", text)
    return re.sub(r" {2,}(?=\S)", "  ", text).strip()


def files(desk: Desk) -> dict[str, bytes]:
    found = {}
    for path in desk.place.vault.glob("*.md"):
        # One that has just been renamed is looked for again.
        with suppress(FileNotFoundError):
            found[path.name] = path.read_bytes()
    return found


def test_one_folder_on_two_machines_stays_one_whatever_is_done_to_it_apart(desks: tuple[Network, list[Desk]]) -> None:
    network, (first, second, third) = desks
    entries = [f"## 2026-01-0{day} 10:00:00 UTC\n\nday {day}\n\n" for day in (1, 2, 3)]
    text = "# plans\n\n" + "".join(entries)
    for desk in (first, second):
        for name in ("plans.md", "old.md"):
            (desk.place.vault / name).write_text(text)
        wait_until(lambda desk=desk: len(desk.hmd("topics").out.splitlines()) == 2)  # type: ignore[misc]
    invite(first, second)
    invite(first, third)
    wait_until(lambda: files(third) == {"plans.md": text.encode(), "old.md": text.encode()})
    assert files(first) == files(second) == files(third)

    network.partition([first.host], [second.host, third.host])
    (first.place.vault / "old.md").rename(first.place.vault / "new.md")
    (first.place.vault / "plans.md").write_text(text.replace("day 1", "day 1 by first"))
    (second.place.vault / "old.md").write_text(text + entries[0].replace("day 1", "one more by second"))
    (second.place.vault / "plans.md").write_text(text.replace("day 1", "day 1 by second").replace(entries[1], ""))
    third.hmd("add", "one more by third", "-t", "plans")
    wait_until(lambda: "new" in first.hmd("topics").out and "by first" in first.hmd("show", "plans").out)
    wait_until(lambda: "one more by second" in third.hmd("show", "old").out)
    wait_until(lambda: "day 1 by second" in third.hmd("show", "plans").out)
    network.heal()
    wait_until(lambda: sorted(files(first)) == ["new.md", "plans.md"])
    wait_until(lambda: files(first) == files(second) == files(third))
    plans, renamed = (files(third)[name].decode() for name in ("plans.md", "new.md"))
    assert all(words in plans for words in ("by first", "by second", "day 3", "one more by third"))
    assert "day 2" not in plans
    assert renamed == text + entries[0].replace("day 1", "one more by second")

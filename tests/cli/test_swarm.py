"""hmd's commands about other machines, as processes: against a swarm of dictionaries, and a real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hiveminddb.errors import NoQuorum
from hiveminddb.swarm import Invite
from tests.cli.place import Place
from tests.cli.terminal import run_in_terminal
from tests.daemon.fake_swarm import PEER, SEEN
from tests.daemon.served import Served, served
from tests.waiting import wait_until

INVITE = Invite("7-walnut-anchor", SEEN)


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture
def there(tmp_path: Path, server: Served) -> Iterator[Place]:
    """A home whose daemon is the server."""
    made = Place(tmp_path)
    made.data.mkdir()
    (made.data / "daemon.json").write_text(json.dumps({"url": f"http://127.0.0.1:{server.port}", "pid": 0}))
    yield made


def test_an_invite_prints_its_code_and_names_who_joins(there: Place, server: Served) -> None:
    server.cases.swarm.progress = [
        replace(INVITE, tries_left=2),
        replace(INVITE, tries_left=2, state="joining", name="laptop"),
        replace(INVITE, tries_left=2, state="joined", name="laptop", node=PEER),
    ]
    ran = there.hmd("invite")
    assert ran.out == (
        "on the other machine: hmd join 7-walnut-anchor\nlaptop (bbbbbbbb) has joined; you share one memory now\n"
    )
    assert "a wrong code was tried; 2 tries left\nlaptop is joining" in ran.err


def test_an_invite_that_nobody_took_fails_and_says_why(there: Place, server: Served) -> None:
    server.cases.swarm.progress = [replace(INVITE, state="ended", reason="ten minutes are over")]
    assert "nobody has joined: ten minutes are over" in there.hmd("invite", code=1).err
    server.cases.swarm.progress = [replace(INVITE, state="ended")]
    lines = there.hmd("invite", "--json", code=1).out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["open", "ended"]
    assert there.hmd("invite", "--no-wait", "--json").json["code"] == "7-walnut-anchor"


def test_an_interrupted_invite_is_ended(there: Place, server: Served) -> None:
    command = subprocess.Popen(
        there.command("invite"), env=there.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until(lambda: server.cases.swarm.asked)
    assert command.stdout is not None and b"7-walnut-anchor" in command.stdout.readline()
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=300)
    assert (command.returncode, server.cases.swarm.asked) == (1, ["invite", "end_invite"])
    assert b"aborted" in errors


def test_a_join_shows_whom_it_joins_and_what_moves_before_it_asks(there: Place, server: Served) -> None:
    swarm = server.cases.swarm
    ran = there.hmd("join", "7-walnut-anchor", code=1)
    assert ran.out == ("laptop (bbbbbbbb)\n  5 memories would come from there\n  8 memories would go there from here\n")
    assert "not done without an answer to: share one memory with laptop?" in ran.err
    assert swarm.asked == ["look 7-walnut-anchor", "join False"]
    assert "joined laptop: 2 machines share this memory" in there.hmd("join", "x", "--yes", "--no-wait").out


def test_a_join_waits_until_both_have_all(there: Place, server: Served) -> None:
    server.cases.swarm.lag, server.cases.swarm.away = 0, False
    server.post("/bulk/memories", {"memories": [{"content": str(n)} for n in range(8)]})
    ran = there.hmd("join", "x", "--yes")
    assert "all is exchanged: 8 memories here and there" in ran.out
    told = there.hmd("join", "x", "--yes", "--json").json
    assert (told["joined"]["name"], told["memories"], told["left"], told["done"]) == ("laptop", 8, 0, True)


def test_the_swarm_is_a_table(there: Place) -> None:
    lines = there.hmd("swarm").out.splitlines()
    assert lines[:2] == ["2 machines, this one leads (term 4)", "2 edits of yours not committed yet, safe here"]
    assert lines[2].startswith("desk (this one)  aaaaaaaa  10.0.0.1:8101  leader  now")
    assert lines[3].startswith("laptop           bbbbbbbb  -              voter   ")
    assert lines[3].endswith(": 3 edits waiting, they are safe here")
    assert there.hmd("swarm", "--json").json["nodes"][1]["lag"] == 3
    shown = run_in_terminal(there.command("swarm"), there.environment(NO_COLOR="1"), 120)
    assert "name" in shown and "last seen" in shown


def test_a_machine_is_removed_renamed_and_leaves_after_an_answer(there: Place, server: Served) -> None:
    assert "removed laptop" in there.hmd("swarm", "remove", "laptop", "--yes").out
    assert "this machine is now studio" in there.hmd("swarm", "rename", "studio").out
    assert "left the swarm" in there.hmd("swarm", "leave", "-y").out
    assert "formed anew" in there.hmd("swarm", "recover", "-y").out
    for words in (("remove", "laptop"), ("leave",), ("recover",)):
        assert "not done without an answer" in there.hmd("swarm", *words, code=1).err
    assert server.cases.swarm.asked == ["remove laptop", "rename studio", "leave", "recover"]
    assert there.hmd("swarm", "rename", "x", "--json").json["name"] == "x"


def test_without_quorum_the_error_says_so(there: Place, server: Served) -> None:
    server.cases.swarm.failure = NoQuorum("most of the swarm is not reachable", "wait for it")
    ran = there.hmd("invite", code=1)
    assert ran.err == "error: most of the swarm is not reachable\nhint: wait for it\n"


def test_writes_and_reads_pass_on_how_sure_they_shall_be(there: Place, server: Served) -> None:
    there.hmd("add", "x", "--ack", "quorum")
    there.hmd("forget", "m0001", "--ack", "local")
    there.hmd("restore", "m0001", "--ack", "quorum")
    assert server.cases.acks == ["quorum", "local", "quorum"]
    there.hmd("search", "x", "--consistency", "linearizable")
    there.hmd("topics", "--consistency", "linearizable")
    there.hmd("history", "m0001", "--consistency", "linearizable")
    there.hmd("lease", "list", "--consistency", "linearizable")
    assert server.cases.swarm.barriers == 4
    assert "'maybe' is not one of" in there.hmd("add", "x", "--ack", "maybe", code=2).err


def test_a_lease_is_held_by_one_on_a_real_daemon_and_its_token_survives_a_restart(place: Place) -> None:
    place.hmd("up", "--name", "studio")
    taken = place.hmd("lease", "acquire", "deploy", "--holder", "me", "--ttl", "60", "--json").json
    assert taken == {"key": "deploy", "holder": "me", "token": 1, "ttl_s": 60.0}
    assert "deploy is held by me (token 1)" in place.hmd("lease", "acquire", "deploy", code=1).err
    renewed = place.hmd("lease", "renew", "deploy", "1")
    assert (renewed.out, renewed.err) == ("renewed deploy for 60 s, token 1\n", "")
    assert place.hmd("lease", "list").out == "deploy  me  1  60 s\n"
    place.hmd("down")
    place.hmd("up", "--name", "studio")
    assert [one["token"] for one in place.hmd("lease", "list", "--json").json] == [1]
    assert "released deploy" in place.hmd("lease", "release", "deploy", "1").out
    assert "has ended, nobody holds it" in place.hmd("lease", "release", "deploy", "1", code=1).err
    assert "acquired deploy for 30 s, token 2" in place.hmd("lease", "acquire", "deploy", "--holder", "you").out
    assert "swarm     alone, as studio" in place.hmd("status").out


def test_a_lease_that_is_not_renewed_ends(place: Place) -> None:
    place.hmd("up")
    place.hmd("lease", "acquire", "deploy", "--holder", "me", "--ttl", "0.2")
    with place.mind() as mind:
        wait_until(lambda: not mind.leases())
    assert "token 2" in place.hmd("lease", "acquire", "deploy", "--holder", "you").out


def test_a_swarm_key_reaches_the_daemon_and_no_command_line(place: Place) -> None:
    place.hmd("up", "--swarm-key", "correct horse battery", "--peers", "127.0.0.1:9,localhost:9")
    settings = {one["name"]: one for one in place.hmd("config", "--json").json}
    assert (settings["swarm_key"]["value"], settings["swarm_key"]["source"]) == ("(hidden)", "HIVEMIND_SWARM_KEY")
    assert settings["peers"]["value"] == "127.0.0.1:9, localhost:9"
    pid = json.loads((place.data / "daemon.json").read_text())["pid"]
    words = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout
    assert "hiveminddb.daemon" in words and "horse" not in words

"""hmd as people run it: a process, against a real daemon."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from hiveminddb.cli.text import width
from tests.cli.place import Place
from tests.cli.terminal import run_in_terminal
from tests.waiting import wait_until


def editor(folder: Path, *lines: str) -> str:
    """An editor: a Python program that does something to the file named last."""
    script = folder / "editor.py"
    script.write_text("import pathlib, sys\npath = pathlib.Path(sys.argv[-1])\n" + "\n".join(lines))
    return f"python3 {script}"


def test_without_a_daemon_a_command_ends_with_3_and_says_how_to_start_one(place: Place) -> None:
    ran = place.hmd("search", "x", code=3)
    assert ran.out == ""
    assert ran.err.startswith("error: no daemon runs for ") and "hint: start it with: hmd up" in ran.err


def test_a_line_that_cannot_be_understood_ends_with_2(place: Place) -> None:
    assert "error: No such command 'serach'" in place.hmd("serach", code=2).err
    assert "hint: hmd search --help" in place.hmd("search", code=2).err
    assert "not a time: soon" in place.hmd("search", "x", "--since", "soon", code=2).err
    place.hmd("forget", code=2)
    place.hmd("forget", "abcd", "--topic", "x", code=2)


def test_up_says_what_it_did_and_down_undoes_it(place: Place) -> None:
    first = place.hmd("up")
    assert "started: http://127.0.0.1:" in first.out and str(place.data / "daemon.log") in first.out.replace(
        "~", str(place.folder)
    )
    second = place.hmd("up", "--json")
    assert second.json["started"] is False
    assert "stopped" in place.hmd("down").out
    assert "no daemon runs" in place.hmd("down", code=3).err
    place.hmd("status", code=3)


def running_here(place: Place) -> list[int]:
    """The daemons of that place, by what they were started with."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            of_place = f"HIVEMIND_DATA_DIR={place.data}\0".encode() in (process / "environ").read_bytes()
            if of_place and b"hiveminddb.daemon" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def test_many_starts_at_once_end_in_one_daemon(place: Place) -> None:
    starts = [
        subprocess.Popen(place.command("up", "--json"), env=place.environment(), stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    told = [json.loads(start.communicate(timeout=300)[0]) for start in starts]
    (pid,) = {one["pid"] for one in told}
    assert [one["started"] for one in told].count(True) == 1
    assert [number for number in running_here(place) if number != pid] == []


def test_after_a_kill_the_next_start_takes_over(place: Place) -> None:
    pid = place.hmd("up", "--json").json["pid"]
    place.hmd("add", "before the crash", "-t", "crash")
    os.kill(pid, signal.SIGKILL)
    place.hmd("search", "crash", code=3)
    assert place.hmd("up", "--json").json["started"] is True
    assert "before the crash" in place.hmd("search", "crash").out


def test_a_daemon_that_cannot_start_says_why(place: Place) -> None:
    ran = place.hmd("up", "--listen", "nonsense", code=1)
    assert "the daemon did not start" in ran.err and "nonsense" in ran.err and "hint:" in ran.err


def test_a_memory_lives_through_add_search_show_forget_and_restore(home: Place) -> None:
    added = home.hmd("add", "We deploy on Fridays", "-t", "deploy", "--tag", "ops", "--json").json
    assert added["topic"] == "deploy" and added["status"] == "committed" and added["tags"] == ["ops"]
    short = added["id"][:8]
    assert "We deploy on Fridays" in home.hmd("search", "deploying", "friday").out
    assert home.hmd("show", short).out == "We deploy on Fridays\n"
    assert "We deploy on Fridays" in home.hmd("show", "deploy").out
    assert home.hmd("forget", short, "-r", "no longer so").out.startswith(f"forgot {short}")
    assert home.hmd("search", "deploying", "--json").json == []
    assert "no longer so" in home.hmd("history", short).out
    home.hmd("restore", short)
    assert [hit["id"] for hit in home.hmd("search", "deploying", "--json").json] == [added["id"]]


def test_add_takes_stdin_and_the_environments_names(home: Place) -> None:
    added = home.hmd(
        "add",
        "-",
        "--at",
        "2026-01-02T03:04:05Z",
        "--json",
        given="many\nlines\n",
        HIVEMIND_AGENT="a",
        HIVEMIND_USER="u",
    ).json
    assert added["content"] == "many\nlines"
    assert (added["agent_id"], added["user_id"], added["created_at"]) == ("a", "u", "2026-01-02T03:04:05Z")


def test_what_is_not_there_ends_with_1(home: Place) -> None:
    for words in (("show", "nothere"), ("history", "zzzz"), ("forget", "zzzz"), ("show", "abcdefghijklmnopqrst")):
        assert home.hmd(*words, code=1).err.startswith("error: "), words


def test_a_whole_topic_is_forgotten_only_when_agreed(home: Place) -> None:
    home.hmd("add", "one", "-t", "whole")
    home.hmd("add", "two", "-t", "whole")
    assert "--yes" in home.hmd("forget", "--topic", "whole", code=1).err
    assert "forgot 2 memories" in home.hmd("forget", "--topic", "whole", "--yes").out
    home.hmd("show", "whole", code=1)
    assert "restored 2 memories" in home.hmd("restore", "--topic", "whole").out


def test_diff_shows_the_last_change_or_any_two_versions(home: Place) -> None:
    id = home.hmd("add", "red\nblue", "-t", "colors", "--json").json["id"]
    with home.mind() as mind:
        mind.update(id, content="red\ngreen")
        mind.update(id, content="pink\ngreen")
    assert {"-red", "+pink", " green"} <= set(home.hmd("diff", id).out.splitlines())
    assert {"-blue", "+green", " red"} <= set(home.hmd("diff", id, "1", "2").out.splitlines())
    assert "no such version: 9" in home.hmd("diff", id, "9", code=1).err


def test_edit_sends_what_the_editor_saved(home: Place) -> None:
    id = home.hmd("add", "a draft", "-t", "edited", "--json").json["id"]
    change = editor(home.folder, "path.write_text(path.read_text().replace('draft', 'text'))")
    assert "now version 2" in home.hmd("edit", id, EDITOR=change).out
    assert home.hmd("show", id).out == "a text\n"
    assert "nothing changed" in home.hmd("edit", id, EDITOR=editor(home.folder)).out
    assert list((home.data / "drafts").iterdir()) == []


def test_edit_merges_with_what_came_meanwhile(home: Place) -> None:
    id = home.hmd("add", "one\ntwo\nthree\nfour", "-t", "merged", "--json").json["id"]
    meanwhile = f"import hiveminddb; hiveminddb.HiveMind().update('{id}', replace=('four', '4'))"
    change = editor(home.folder, meanwhile, "path.write_text(path.read_text().replace('one', '1'))")
    ran = home.hmd("edit", id, EDITOR=change)
    assert "both changes are kept" in ran.err
    assert home.hmd("show", id).out == "1\ntwo\nthree\n4\n"


def test_edit_keeps_the_text_when_it_cannot_be_merged(home: Place) -> None:
    id = home.hmd("add", "one", "-t", "torn", "--json").json["id"]
    meanwhile = f"import hiveminddb; hiveminddb.HiveMind().update('{id}', content='theirs')"
    ran = home.hmd("edit", id, code=1, EDITOR=editor(home.folder, meanwhile, "path.write_text('mine')"))
    assert "changed the same lines" in ran.err
    kept = Path(ran.err.split("your text is kept in ")[1].split(";")[0].strip())
    assert kept.read_text() == "mine"
    assert home.hmd("show", id).out == "theirs\n"


def test_an_editor_that_fails_sends_nothing(home: Place) -> None:
    id = home.hmd("add", "stays", "-t", "failing", "--json").json["id"]
    assert "the editor ended with 3" in home.hmd("edit", id, code=1, EDITOR=editor(home.folder, "sys.exit(3)")).err
    assert "does not start" in home.hmd("edit", id, code=1, EDITOR="no-such-editor-here").err
    assert home.hmd("show", id).out == "stays\n"


def test_a_topic_is_edited_in_its_own_file(home: Place) -> None:
    home.hmd("add", "first", "-t", "notes")
    wait_until((home.vault / "notes.md").exists)
    change = editor(home.folder, "path.write_text(path.read_text().replace('first', 'second-thought'))")
    assert "saved" in home.hmd("edit", "notes", EDITOR=change).out
    wait_until(lambda: home.hmd("search", "second-thought", "--json").json)


def test_a_folder_goes_in_and_out_byte_for_byte(place: Place) -> None:
    place.hmd("up")
    source = place.folder / "old"
    files = {
        "deploy.md": b"# deploy\n\n## 2026-01-02 03:04:05 UTC\n\nwe deploy\n\n## 2026-01-03 03:04:05 UTC\n\nagain\n\n",
        "crlf.md": b"\xef\xbb\xbf# crlf\r\n\r\n## 2026-01-02 03:04:05 UTC\r\n\r\nwindows\r\n",
        "sub/plain.md": "no heading, no end of line: ünïcödé".encode(),
    }
    for name, data in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    (source / ".hidden").mkdir()
    (source / ".hidden" / "x.md").write_text("not this")
    (source / "latin.md").write_bytes(b"caf\xe9")
    (source / "picture.png").write_bytes(b"\x89PNG")

    ran = place.hmd("import", str(source), code=1)
    assert "3 files" not in ran.out and "4 memories added" in ran.out
    assert "refused latin.md: not UTF-8" in ran.err
    (source / "latin.md").unlink()
    assert place.hmd("import", str(source), "--json").json["unchanged"] == 3

    place.hmd("export", str(place.folder / "new"))
    for name, data in files.items():
        assert (place.folder / "new" / name).read_bytes() == data, name
    lines = (place.folder / "new" / "memories.jsonl").read_text().splitlines()
    assert {json.loads(line)["created_at"][:10] for line in lines} >= {"2026-01-02", "2026-01-03"}
    assert "not empty" in place.hmd("export", str(place.folder / "new"), code=1).err


def test_the_vault_itself_is_not_imported(home: Place) -> None:
    home.hmd("add", "x", "-t", "anything")
    wait_until((home.vault / "anything.md").exists)
    assert "is the vault itself" in home.hmd("import", str(home.vault), code=1).err


def test_the_log_shows_the_latest_changes_and_follows(home: Place) -> None:
    home.hmd("add", "seen", "-t", "logged")
    assert "logged" in home.hmd("log", "-n", "1").out
    command = home.command("log", "-n", "0", "--follow", "--json")
    with subprocess.Popen(command, env=home.environment(PYTHONUNBUFFERED="1"), stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        os.set_blocking(follower.stdout.fileno(), False)
        lines = b""

        def told() -> bool:
            nonlocal lines
            home.hmd("add", "news", "-t", "followed")
            assert follower.stdout is not None
            lines += follower.stdout.read() or b""
            return b"followed" in lines

        wait_until(told)
        follower.send_signal(signal.SIGINT)
    assert json.loads(lines.splitlines()[0])["action"] == "add"


def test_status_config_and_doctor_tell_how_things_are(home: Place) -> None:
    status = home.hmd("status").out
    for word in ("is running", "memory", "vault", "search", "by words only"):
        assert word in status, status
    assert home.hmd("status", "--json").json["vault"]["path"] == str(home.vault)
    assert {one["name"]: one["source"] for one in home.hmd("config", "--json").json}["data_dir"] == "HIVEMIND_DATA_DIR"
    assert str(home.vault) in home.hmd("config").out
    checks = home.hmd("doctor", "--json").json
    assert checks and all(check["ok"] for check in checks)


def test_doctor_rebuilds_when_agreed(place: Place) -> None:
    place.hmd("up")
    with place.mind() as mind:
        for number in range(50):
            mind.add(f"kept through a rebuild {number}", topic=f"rebuilt-{number % 5}")
            mind.search("rebuild")
            if number % 10 == 9:
                assert all(check.ok for check in mind.doctor(rebuild=True))
    assert "--yes" in place.hmd("doctor", "--rebuild", code=1).err
    place.hmd("doctor", "--rebuild", "--yes")
    assert "kept through a rebuild" in place.hmd("search", "rebuild").out


def test_doctor_without_a_daemon_says_so_and_fails(place: Place) -> None:
    ran = place.hmd("doctor", code=1)
    assert "bad" in ran.out and "hmd up" in ran.out


def test_a_damaged_database_is_mended_by_the_doctor(place: Place) -> None:
    place.hmd("up")
    place.hmd("add", "kept through damage", "-t", "notes", "--tag", "safe")
    place.hmd("down")
    path = place.data / "hivemind.db"
    text = path.read_bytes()
    # Where the text of the memory is, and only there: the change that made it comes first.
    at = text.rindex(b"kept through damage") // 4096 * 4096
    assert text.index(b"kept through damage") < at
    path.write_bytes(text[:at] + bytes(4096) + text[at + 4096 :])
    assert "hint: stop the daemon if it runs (hmd down), then: hmd doctor --rebuild" in place.hmd("up", code=1).err
    told = place.hmd("doctor", code=1).out
    assert "malformed" in told and "`hmd doctor --rebuild`" in told
    assert "--yes" in place.hmd("doctor", "--rebuild", code=1).err
    assert "repaired  database" in place.hmd("doctor", "--rebuild", "--yes").out
    place.hmd("up")
    assert "kept through damage" in place.hmd("search", "kept", "--tag", "safe").out
    assert all(check["ok"] for check in place.hmd("doctor", "--json").json)


@pytest.mark.parametrize("words", [["topics"], ["search", "x"], ["log"], ["status"], ["config"], ["doctor"]])
def test_piped_output_is_plain_and_json_is_json(home: Place, words: list[str]) -> None:
    assert "\x1b" not in home.hmd(*words).out
    for line in home.hmd(*words, "--json").out.splitlines() if words == ["log"] else [home.hmd("--json", *words).out]:
        json.loads(line)


def test_a_memory_cannot_steer_the_terminal(home: Place) -> None:
    id = home.hmd("add", "-", "-t", "hostile", "--json", given="\x1b]0;owned\x07 \u202egnirts \x9b31m end").json
    for words in (["show", id["id"]], ["show", "hostile"], ["search", "owned"], ["history", id["id"]], ["log"]):
        shown = home.hmd(*words).out + home.hmd(*words, "--json").out
        assert not any(char in shown for char in "\x1b\x07\u202e\x9b"), words


def test_a_narrow_terminal_is_kept_to_and_colors_can_be_had_without(home: Place) -> None:
    home.hmd("add", "日本語のとても長い文章です " * 8 + "narrow", "-t", "narrow-topic-with-a-long-name")
    shown = run_in_terminal(home.command("search", "narrow"), home.environment(NO_COLOR="1"), 40)
    assert "\x1b" not in shown and "日本語" in shown
    assert max(width(line) for line in shown.splitlines()) <= 40
    assert "\x1b[" in run_in_terminal(home.command("search", "narrow"), home.environment(), 40)
    assert (
        max(map(width, run_in_terminal(home.command("topics"), home.environment(NO_COLOR="1"), 40).splitlines())) <= 40
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_completion(place: Place, shell: str) -> None:
    assert "_HMD_COMPLETE" in place.hmd("completion", shell).out


def test_completion_knows_the_commands(place: Place) -> None:
    told = place.hmd(_HMD_COMPLETE="bash_complete", COMP_WORDS="hmd se", COMP_CWORD="1").out
    assert told == "plain,search\n"


def test_options_may_stand_before_or_after_the_command(home: Place) -> None:
    url = home.hmd("up", "--json").json["url"]
    assert home.hmd("--url", url, "topics", "--json").json == home.hmd("topics", "--json", "--url", url).json
    home.hmd("topics", "--url", "http://127.0.0.1:1", code=3)


def test_a_vanished_vault_stops_and_is_answered_by_the_doctor(place: Place) -> None:
    place.hmd("up")
    for topic in ("a", "b", "c"):
        place.hmd("add", f"text of {topic}", "-t", topic)
    wait_until(lambda: place.hmd("status", "--json").json["pending"]["mirror"] == 0)
    place.hmd("down")
    shutil.rmtree(place.vault)
    place.hmd("up")
    assert place.hmd("status", "--json").json["vault"]["state"] == "stopped"
    assert "hmd doctor" in place.hmd("status").out
    assert "bad       vault" in place.hmd("doctor", code=1).out
    place.hmd("doctor", "--recreate-vault", "--yes")
    wait_until((place.vault / "c.md").exists)
    assert place.hmd("status", "--json").json["vault"]["state"] == "mirrored"
    assert "text of b" in place.hmd("show", "b").out


def _holds(place: Place, count: int) -> bool:
    return len(list(place.vault.glob("*.md"))) == len(place.hmd("topics", "--json").json) == count


def test_deleted_files_come_back_or_are_let_go_as_the_person_says(place: Place) -> None:
    place.hmd("up")
    with place.mind() as mind:
        for number in range(40):
            mind.add(f"text {number}", topic=f"topic-{number}")
    wait_until(lambda: place.hmd("status", "--json").json["pending"]["mirror"] == 0)
    for answer, left in (("--restore-files", 40), ("--accept-deletions", 0)):
        place.hmd("down")
        for file in place.vault.glob("*.md"):
            file.unlink()
        place.hmd("up")
        assert place.hmd("status", "--json").json["vault"]["state"] == "stopped"
        assert len(place.hmd("topics", "--json").json) == 40
        place.hmd("doctor", answer, "--yes")
        wait_until(partial(_holds, place, left))
    place.hmd("restore", "--topic", "topic-7")
    wait_until((place.vault / "topic-7.md").exists)

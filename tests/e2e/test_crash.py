"""The daemon killed with SIGKILL: nothing acknowledged is lost, in the database or in the files."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import closing

import apsw

from hiveminddb import HiveMind
from hiveminddb.errors import HiveMindError
from tests.cli.place import Place
from tests.waiting import wait_until


def kill(place: Place) -> None:
    pid = json.loads((place.data / "daemon.json").read_bytes())["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _has_ended(pid))


def _has_ended(pid: int) -> bool:
    """All its threads have ended: until then some of its locks are held, although its first thread is a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rsplit(")", 1)[1].split()[0]
        return state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def add_until_it_dies(place: Place, writer: int, acknowledged: list[str]) -> None:
    with place.mind() as mind:
        for number in range(100_000):
            content = f"writer {writer} memory {number}."
            try:
                mind.add(content, topic=f"crash {writer % 2}")
            except HiveMindError:
                return
            acknowledged.append(content)


def test_every_acknowledged_memory_survives_kill_9_once_and_is_in_its_file(place: Place, mind: HiveMind) -> None:
    acknowledged: list[str] = []
    for turn in range(3):
        threads = [
            threading.Thread(target=add_until_it_dies, args=(place, 10 * turn + writer, acknowledged))
            for writer in range(4)
        ]
        for thread in threads:
            thread.start()
        goal = len(acknowledged) + 200
        wait_until(lambda goal=goal: len(acknowledged) > goal)  # type: ignore[misc]
        kill(place)
        for thread in threads:
            thread.join()
        place.hmd("up")
    there = [memory.content for memory in mind.each()]
    assert len(there) == len(set(there))
    assert set(acknowledged) <= set(there)
    for topic in ("crash-0", "crash-1"):
        path = place.vault / f"{topic}.md"
        wait_until(lambda path=path, topic=topic: path.read_text() == mind.topic(topic).text)  # type: ignore[misc]
    files = (place.vault / "crash-0.md").read_text() + (place.vault / "crash-1.md").read_text()
    assert all(files.count(f"\n{content}\n") == 1 for content in there)


def test_edits_made_while_the_daemon_was_dead_are_taken_in(place: Place, mind: HiveMind) -> None:
    for number in range(4):
        mind.add(f"note {number}.", topic=f"file {number}")
    # A file that goes before its making was recorded may never have been: it would be made again.
    wait_until(lambda: len(list(place.vault.glob("*.md"))) == 4 and not mind.status().pending.mirror)
    edited = mind.topic("file 0").memories[0]
    moved = mind.topic("file 1").memories[0]
    kill(place)
    (place.vault / "file-0.md").write_text((place.vault / "file-0.md").read_text().replace("note 0.", "note zero."))
    (place.vault / "file-1.md").rename(place.vault / "renamed.md")
    (place.vault / "file-2.md").unlink()
    (place.vault / "fresh.md").write_text("# Fresh\n\nwritten by hand\n")
    place.hmd("up")
    wait_until(lambda: mind.get(edited.id).content == "note zero.")
    wait_until(lambda: mind.get(moved.id).topic == "renamed")
    wait_until(lambda: {topic.topic for topic in mind.topics()} == {"file-0", "file-3", "renamed", "fresh"})


def test_a_daemon_killed_while_it_gave_up_deciding_alone_decides_again(place: Place, mind: HiveMind) -> None:
    mind.add("before", topic="notes")
    kill(place)
    # As a kill between giving up and the step that tells of it leaves the database.
    with closing(apsw.Connection(str(place.data / "hivemind.db"))) as database:
        # The system gives back the locks of a killed process when its last thread has ended; only who holds none waits.
        database.set_busy_timeout(60_000)
        database.execute("BEGIN IMMEDIATE")
        assert dict(database.execute("SELECT key, value FROM meta WHERE key IN ('swarm.sole', 'order.alone')")) == {
            "swarm.sole": "1",
            "order.alone": "1",
        }
        database.execute("UPDATE meta SET value = '' WHERE key = 'swarm.sole'")
        database.execute("COMMIT")
    place.hmd("up")
    assert mind.add("after", topic="notes", ack="quorum").content == "after"
    assert [change.seq for change in mind.changes()][:2] == [1, 2]
    assert {memory.content for memory in mind.each()} == {"before", "after"}

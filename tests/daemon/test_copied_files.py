"""Machines that have got the same files by other ways, and become one memory: nothing stands there twice."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from hiveminddb.vault import markdown
from tests.daemon.island import Island, agree, islands, meet

LOG = "# log\n\n## 2026-01-01 10:00:00 UTC\n\nfirst\n\n## 2026-01-02\n\nsecond\n\n"


def entries(island: Island, topic: str) -> list[str]:
    return [row.text for row in island.living(topic) if row.role == "entry"]


def copy(one: Island, other: Island) -> None:
    """By hand, git or rsync: the files, and nothing of what is known about them."""
    for topic, text in one.files.items():
        if other.files.get(topic) != text:
            other.save(topic, text)


@pytest.mark.parametrize("seed", range(6))
def test_files_copied_to_a_machine_before_it_joins_are_there_once(seed: int) -> None:
    with islands("a", "b", "c") as (a, b, c):
        for n in range(4):
            a.add("people", f"person {n}")
        a.save("log", LOG)
        a.save("log", LOG.replace("second", "second, and more"))
        a.mirror()
        for other in (b, c):
            copy(a, other)
        before = {topic: entries(a, topic) for topic in a.files}
        files = dict(a.files)
        meet([a, b, c], random.Random(seed))
        assert {topic: Counter(entries(a, topic)) for topic in before} == {k: Counter(v) for k, v in before.items()}
        assert {topic: len(text) for topic, text in b.files.items()} == {k: len(v) for k, v in files.items()}
        agree([a, b, c])


def test_it_is_the_memory_that_an_agent_has_made_that_stays() -> None:
    with islands("a", "b") as (a, b):
        row = a.add("people", "Ann likes tea", agent_id="claude")
        a.mirror()
        copy(a, b)
        meet([a, b])
        assert [it.id for it in b.living("people") if it.role == "entry"] == [row.id]
        assert [it.agent_id for it in a.living("people") if it.role == "entry"] == ["claude"]


@pytest.mark.parametrize("seed", range(8))
def test_a_file_that_others_carry_about_as_well_says_nothing_twice(seed: int) -> None:
    """Nodes that hear each other only now and then, and a tool that copies the files from one to the next."""
    chance = random.Random(seed)
    with islands("a", "b", "c") as nodes:
        copied = 0
        nodes[0].save("log", LOG)
        for _ in range(20):
            one, other = chance.sample(nodes, 2)
            one.add("log", " ".join(f"{chance.randrange(1 << 30):x}" for _word in range(5)))
            one.mirror()
            if chance.random() < 0.3:
                meet(nodes, chance)
            if set(entries(other, "log")) < set(entries(one, "log")):
                other.save("log", one.files["log"])
                copied += 1
        meet(nodes, chance)
        agree(nodes)
        found = Counter(row.content for row in nodes[0].living("log") if row.role == "entry")
        assert copied and not [content for content, times in found.items() if times > 1]


EDITED = LOG.replace("first", "first and foremost").replace("second", "2nd") + "## 2026-01-03\n\nthird\n\n"


@pytest.mark.parametrize("seed", range(4))
def test_what_a_tool_carries_to_each_machine_before_they_meet_is_said_once(seed: int) -> None:
    with islands("a", "b", "c") as nodes:
        nodes[0].save("log", LOG)
        meet(nodes)
        for node in nodes:
            node.save("log", EDITED)
        meet(nodes, random.Random(seed))
        agree(nodes)
        assert nodes[0].files == {"log": EDITED}


def test_what_a_tool_carries_to_a_machine_that_has_just_heard_of_it_is_said_once() -> None:
    with islands("a", "b") as (a, b):
        a.save("log", LOG)
        meet([a, b])
        a.save("log", EDITED)
        b.hear(a)
        b.save("log", EDITED)
        meet([a, b])
        agree([a, b])
        assert a.files == {"log": EDITED}


def test_what_a_tool_brings_after_all_that_was_made_of_it_is_not_there_twice() -> None:
    with islands("a", "b") as (a, b):
        a.save("log", LOG)
        meet([a, b])
        entry = "## 2026-01-03\n\nthe third entry of them all\n\n"
        a.save("log", LOG + entry)
        a.save("log", LOG + entry.replace("third", "third and last"))
        b.hear(a)
        b.save("log", LOG + entry)
        assert b.files == a.files
        b.save("log", LOG.replace("second", "2nd") + entry)
        meet([a, b])
        agree([a, b])
        assert a.files == {"log": LOG.replace("second", "2nd") + entry.replace("third", "third and last")}


def test_an_entry_that_was_edited_and_is_written_again_is_there_as_both() -> None:
    with islands("a") as (a,):
        entry = "## 2026-01-03\n\nthe third entry of them all\n\n"
        a.save("log", LOG)
        a.save("log", LOG + entry)
        edited = LOG + entry.replace("third", "third and last")
        a.save("log", edited)
        a.save("log", edited + entry)
        assert a.files == {"log": edited + entry}
        assert len(entries(a, "log")) == 4


@pytest.mark.parametrize("seed", range(12))
def test_a_folder_that_a_tool_synchronises_as_well_says_what_was_written_last(seed: int) -> None:
    """The tool is quicker than the nodes, which hear each other now and then, and sometimes write first."""
    chance = random.Random(seed)
    with islands("a", "b", "c") as nodes:
        nodes[0].save(
            "log", LOG.replace("first", "what was said first of all").replace("second", "and what came second")
        )
        meet(nodes)
        for n in range(12):
            one = chance.choice(nodes)
            one.save("log", text := _worked_on(one.files["log"], n, chance))
            assert one.files["log"] == text
            for other in chance.sample(nodes, 3):
                if other is not one and chance.random() < 0.5:
                    other.hear(chance.choice([node for node in nodes if node is not other]))
                if other is not one:
                    other.save("log", text)
                    assert other.files["log"] == text
            if chance.random() < 0.3:
                meet(nodes, chance)
        meet(nodes, chance)
        agree(nodes)
        assert nodes[0].files == {"log": text}


def _worked_on(text: str, n: int, chance: random.Random) -> str:
    """A word more, a word less, another word, or an entry more."""
    words = [match for match in re.finditer(r"[a-z]+", text)]
    it = chance.choice(words)
    ways = [
        text[: it.end()] + f" more{n}" + text[it.end() :],
        text[: it.start()] + f"other{n}" + text[it.end() :],
        text[: it.start()] + text[it.end() :] if len(words) > 4 else text + "x\n",
        text + f"## 2026-02-0{chance.randint(1, 9)}\n\nthis is the entry of step {n}\n\n",
    ]
    return chance.choice(ways)


def test_an_entry_that_somebody_copied_to_have_it_twice_stays_twice() -> None:
    with islands("a", "b") as (a, b):
        a.save("log", LOG)
        meet([a, b])
        entry = markdown.pieces(LOG)[1]
        b.save("log", b.files["log"] + entry)
        meet([a, b])
        a.edit(a.living("log")[1].id, confidence=0.5)
        meet([a, b])
        assert entries(a, "log").count(entry) == 2
        agree([a, b])


def test_a_copy_of_which_somebody_has_said_more_stays() -> None:
    with islands("a", "b") as (a, b):
        a.add("people", "Ann likes tea")
        a.mirror()
        copy(a, b)
        mine = b.living("people")[1]
        b.edit(mine.id, confidence=0.5)
        meet([a, b])
        assert mine.id in {row.id for row in a.living("people")}
        agree([a, b])


NOTE = "# Garden\n\nThe walnut tree was planted in 2019.\n\nRoses need cutting.\n"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("is_edited_there", [False, True])
@pytest.mark.parametrize("is_edited_here", [False, True])
def test_a_note_that_was_copied_and_edited_on_both_machines_is_one_with_both_edits(
    seed: int, is_edited_there: bool, is_edited_here: bool
) -> None:
    with islands("a", "b") as (a, b):
        a.save("garden", NOTE)
        a.save("garden", now := NOTE.replace("2019", "2020"))
        copy(a, b)
        if is_edited_there:
            a.save("garden", now := now.replace("cutting", "cutting and water"))
        if is_edited_here:
            b.save("garden", b.files["garden"].replace("walnut", "old walnut"))
            now = now.replace("walnut", "old walnut")
        meet([a, b], random.Random(seed))
        agree([a, b])
        assert a.files == {"garden": now}


@pytest.mark.parametrize("seed", range(4))
def test_so_is_an_entry_of_an_agent_that_went_on_on_both(seed: int) -> None:
    with islands("a", "b") as (a, b):
        row = a.add("people", "Ann likes tea, and long walks in the evening", agent_id="claude")
        a.mirror()
        copy(a, b)
        mine = b.living("people")[1]
        b.edit(mine.id, mine.text.replace("tea", "green tea"))
        b.mirror()
        a.edit(row.id, row.text.replace("evening", "morning"))
        a.mirror()
        meet([a, b], random.Random(seed))
        agree([a, b])
        assert a.contents("people") == ["Ann likes green tea, and long walks in the morning"]
        assert [it.id for it in b.living("people") if it.role == "entry"] == [row.id]


def test_two_notes_of_one_name_that_have_nothing_in_common_stay_both() -> None:
    with islands("a", "b") as (a, b):
        a.save("garden", NOTE)
        b.save("garden", "# Garden\n\nA list of what to buy.\n")
        meet([a, b])
        agree([a, b])
        assert "walnut" in a.files["garden"] and "what to buy" in a.files["garden"]


def test_two_entries_begun_with_the_same_few_words_stay_two() -> None:
    with islands("a", "b", "c") as (a, b, c):
        for one, begun in ((a, "## 2026-01-01\n\n"), (b, "## 2026-01-01\n\ncall\n"), (c, "## 2026-01-01\n\ncall\n")):
            one.save("day", "# day\n\n")
            one.save("day", "# day\n\n" + begun)
            one.save("day", "# day\n\n## 2026-01-01\n\ncall " + {"a": "Ann", "b": "Bob", "c": "Carl"}[one.name] + "\n")
        meet([a, b, c])
        agree([a, b, c])
        assert sorted(a.contents("day")) == ["call Ann", "call Bob", "call Carl"]


def test_what_others_wrote_into_a_copy_before_they_knew_that_it_is_one_lives() -> None:
    with islands("a", "b", "c") as (a, b, c):
        a.add("people", "Ann likes tea, and long walks")
        a.mirror()
        copy(a, b)
        c.hear(b)
        mine = b.living("people")[1]
        meet([a, b])
        assert mine.id not in {row.id for row in a.living("people")}
        c.edit(mine.id, mine.text.replace("tea", "coffee"))
        meet([a, b, c])
        agree([a, b, c])
        assert any("coffee" in it for it in a.contents("people"))

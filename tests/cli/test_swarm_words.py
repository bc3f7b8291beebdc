from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hiveminddb.cli import swarm_words
from hiveminddb.model import NodeId
from hiveminddb.swarm import SwarmNode, SwarmStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME, PEER = NodeId("a" * 20), NodeId("b" * 20)
DESK = SwarmNode(ME, "desk", "voter", True, "10.0.0.1:8101", NOW)
LAPTOP = SwarmNode(PEER, "laptop", "voter", True, "10.0.0.2:8101", NOW)
TOGETHER = SwarmStatus("together", 7, ME, "desk", "leader", ME, 4, True, 0, (DESK, LAPTOP))


def test_a_swarm_is_told_in_one_line() -> None:
    assert swarm_words.summary(TOGETHER) == ("2 machines, this one leads (term 4)", True)
    assert swarm_words.summary(replace(TOGETHER, leader=PEER))[0] == "2 machines, laptop leads (term 4)"
    assert swarm_words.summary(replace(TOGETHER, leader=None))[0] == "2 machines, no leader yet (term 4)"
    assert "the others decide" in swarm_words.summary(replace(TOGETHER, leader=None, role="learner"))[0]
    alone = SwarmStatus("alone", 7, ME, "desk")
    assert swarm_words.summary(alone) == ("alone, as desk; let another in with: hmd invite", True)
    words, good = swarm_words.summary(
        replace(TOGETHER, state="no_quorum", quorum=False, nodes=(DESK, replace(LAPTOP, online=False)))
    )
    assert not good
    assert words.startswith("2 machines, 1 out of reach: too few to decide. Your edits are safe here")


def test_a_machine_that_the_others_went_on_without_is_told_the_way_back() -> None:
    refusing = replace(LAPTOP, online=False, refuses=True)
    words, good = swarm_words.summary(replace(TOGETHER, state="no_quorum", quorum=False, nodes=(DESK, refusing)))
    assert not good
    assert "1 no longer let this one in" in words and "hmd swarm recover" in words
    assert swarm_words.peer(refusing, NOW) == ("does not let this machine in", False)


def test_who_runs_twice_is_told_how_to_be_two() -> None:
    assert swarm_words.advice(TOGETHER) == ""
    assert "node.key" in swarm_words.advice(replace(TOGETHER, nodes=(DESK, replace(LAPTOP, doubled=True))))


def test_a_machine_that_does_not_know_what_it_voted_is_told_when_it_votes_again() -> None:
    barred = replace(TOGETHER, role="learner", leader=None, barred=True)
    words, good = swarm_words.summary(barred)
    assert good and "came back with less" in words and "by itself" in words
    words, good = swarm_words.summary(replace(barred, state="no_quorum", quorum=False))
    assert not good
    assert "Your edits are safe here" in words and "a majority of the others must be reached" in words


@pytest.mark.parametrize(
    ("node", "words", "good"),
    [
        (LAPTOP, "up to date", True),
        (replace(LAPTOP, lag=None, ahead=None), "comparing", True),
        (replace(LAPTOP, doubled=True), "runs twice: its data folder was copied, and both are in use", False),
        (replace(LAPTOP, online=False, lag=None, ahead=None, last_seen=None), "offline", False),
        (replace(LAPTOP, lag=2, ahead=1), "2 edits to send, 1 edit to receive", True),
        (replace(LAPTOP, online=False, lag=3, last_seen=None), "offline: 3 edits waiting, they are safe here", False),
        (
            replace(LAPTOP, online=False, lag=1, last_seen=NOW - timedelta(hours=2)),
            "offline for 2 hours: 1 edit waiting, it is safe here",
            False,
        ),
        (replace(LAPTOP, online=False, last_seen=NOW - timedelta(days=1)), "offline for 1 day", False),
    ],
)
def test_another_machine_is_told_in_words(node: SwarmNode, words: str, good: bool) -> None:
    assert swarm_words.peer(node, NOW) == (words, good)


def test_what_is_not_committed_yet_is_told_where_there_is_any() -> None:
    assert swarm_words.pending(TOGETHER) == ""
    assert swarm_words.pending(replace(TOGETHER, pending=1)) == "1 edit of yours not committed yet, safe here"


def test_the_table_has_a_row_for_each_machine_and_no_name_can_break_it() -> None:
    away = replace(LAPTOP, name="lap\n\x1b[2Jtop", online=False, last_seen=NOW - timedelta(minutes=3), lag=2)
    rows = swarm_words.rows(replace(TOGETHER, nodes=(DESK, away)), NOW)
    assert rows[0] == ("desk (this one)", "aaaaaaaa", "10.0.0.1:8101", "leader", "now", "-")
    assert rows[1][1:5] == ("bbbbbbbb", "10.0.0.2:8101", "voter", "3 minutes ago")
    assert "\x1b" not in rows[1][0] and "\n" not in rows[1][0]
    assert swarm_words.seen(replace(away, last_seen=None), NOW) == "not since the start"

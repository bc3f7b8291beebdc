from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.daemon.swarm import commands
from hiveminddb.daemon.swarm.commands import (
    COMMAND_BYTES,
    AddMember,
    Changes,
    ClaimName,
    Command,
    Grant,
    Order,
    Release,
    SetRegister,
)
from hiveminddb.errors import InvalidFrame
from hiveminddb.sync.antientropy import sent
from tests.daemon.stepping import NODES, any_command, change

ID = bytes(16)


@given(any_command)
def test_a_command_is_the_same_after_it_has_travelled(command: Command) -> None:
    assert commands.decode(commands.encode(command)) == command


@given(st.binary(max_size=300))
def test_bytes_that_are_no_command_are_refused(payload: bytes) -> None:
    with pytest.raises(InvalidFrame):
        commands.decode(payload)


@given(any_command, st.data())
def test_a_command_that_was_altered_on_the_way_is_a_command_or_refused(command: Command, data: st.DataObject) -> None:
    payload = bytearray(commands.encode(command))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = commands.decode(bytes(payload))
    except InvalidFrame:
        return
    assert commands.decode(commands.encode(decoded)) == decoded


@pytest.mark.parametrize(
    "command",
    [
        Grant(b"short", "key", "me", 1000),
        Grant(ID, "", "me", 1000),
        Grant(ID, "k" * 201, "me", 1000),
        Grant(ID, "key", "me", 99),
        Grant(ID, "key", "me", 8 * 24 * 3600 * 1000),
        Release(ID, "key", -1),
        Release(ID, "key", 2**63),
        SetRegister(ID, "key", "v" * 4097),
        ClaimName(ID, "name", ""),
        Order(ID, "Desk", 1, 1),
        Order(ID, NODES[0], 0, 1),
        Order(ID, NODES[0] + "\n", 1, 1),
        AddMember(ID, NODES[0], b"key", "desk", "voter"),
        AddMember(ID, NODES[0], b"k" * 32, "desk", "captain"),  # type: ignore[arg-type]
        Changes(ID, []),
        Changes(ID, [sent(change("a", 0))]),
        Changes(ID, [sent(change("a", 1)), sent(change("a", 3))]),
        Changes(ID, [sent(change("a", 1)), sent(change("b", 2))]),
    ],
)
def test_a_command_out_of_its_bounds_is_refused(command: Command) -> None:
    with pytest.raises(InvalidFrame):
        commands.decode(msgspec.msgpack.encode(command))


def test_a_command_larger_than_any_is_not_looked_at() -> None:
    with pytest.raises(InvalidFrame, match="a command of 524289 bytes"):
        commands.decode(b"\x00" * (COMMAND_BYTES + 1))


@given(st.lists(st.tuples(st.integers(0, 300_000), st.sampled_from(("", "y" * 10_000, "Ж" * 10_000))), max_size=30))
def test_changes_are_proposed_once_each_in_their_order_in_commands_of_bounded_size(
    sizes: list[tuple[int, str]],
) -> None:
    pending = [change(NODES[0], n, b"u" * size, reason) for n, (size, reason) in enumerate(sizes, 5)]
    counters: list[int] = []
    for command in commands.proposals(pending):
        assert commands.decode(commands.encode(command)) == command
        if isinstance(command, Order):
            assert (command.origin, command.count) == (NODES[0], 1)
            counters.append(command.first)
        else:
            counters += [one.counter for one in commands.carried(command)]
    assert counters == [one.counter for one in pending]


@given(st.integers(0, 12))
def test_what_a_majority_has_is_proposed_without_its_content(spread: int) -> None:
    pending = [change(NODES[0], n) for n in range(3, 9)]
    proposed = list(commands.proposals(pending, spread))
    orders = [(it.first, it.count) for it in proposed if isinstance(it, Order)]
    content = [one for it in proposed if isinstance(it, Changes) for one in commands.carried(it)]
    known = [one for one in pending if one.counter <= spread]
    assert orders == ([(3, len(known))] if known else [])
    assert content == pending[len(known) :]


def test_a_majority_reaches_what_more_than_half_do() -> None:
    assert [commands.majority(it) for it in ([], [7], [7, 5], [7, 5, 3], [9, 7, 5, 3])] == [0, 7, 5, 5, 5]


def test_many_small_changes_share_a_command() -> None:
    pending = [change(NODES[0], n) for n in range(1, 101)]
    (command,) = commands.proposals(pending)
    assert isinstance(command, Changes)
    assert commands.carried(command) == pending

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from hiveminddb.sync import document
from hiveminddb.sync.diff import apply, edits
from hiveminddb.sync.encoding import new_document

# Emoji with modifiers, combining marks, right-to-left text, CRLF: whatever a person may type.
ALPHABET = st.sampled_from(
    [
        "a",
        "b",
        " ",
        "\n",
        "\r\n",
        "é",
        "e\u0301",
        "😀",
        "👩‍👩‍👧",
        "👍🏽",
        "שלום",
        "مرحبا",
        "\u202e",
        "日本",
        "\x00",
        "# ",
        "- [x] ",
    ]
)
TEXT = st.lists(ALPHABET, max_size=30).map("".join)
VALUE: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=5), st.integers(-5, 5), st.booleans(), st.lists(st.integers(0, 3))
)
FIELDS = st.dictionaries(st.sampled_from(["topic", "user_id", "meta:x"]), VALUE, max_size=3)


def damaged(damages: list[tuple[int, int]]) -> bytes:
    update = bytearray(b"\x01\x02\x07\x00\x04\x01\x04text\x02ab\x28\x01\x06fields\x00\x01\x76\x01\x01t\x77\x01x\x00")
    for at, value in damages:
        update[at % len(update)] = value
    return bytes(update)


GARBAGE = st.binary(max_size=40) | st.builds(
    damaged, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4)
)


@given(TEXT, TEXT)
def test_edits_turn_the_old_text_into_the_new(old: str, new: str) -> None:
    assert apply(old, edits(old, new)) == new


@given(TEXT, FIELDS, TEXT, FIELDS)
def test_what_is_written_is_read_back(text: str, fields: dict[str, Any], other: str, others: dict[str, Any]) -> None:
    state = document.create(text, fields)
    assert document.read(state) == document.Content(text, fields)
    update = document.edit(state, text=other, fields=others)
    after = document.merge(state, update) if update else state
    assert document.read(after) == document.Content(other, {**fields, **others})


@given(TEXT, st.lists(TEXT, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_updates_gives_the_same_document(
    text: str, versions: list[str], rng: random.Random
) -> None:
    first = document.create(text, {"topic": "t"})
    updates = [first] + [u for v in versions if (u := document.edit(first, text=v, fields={"user_id": v}))]
    expected = document.read(document.merge(*updates))
    shuffled = updates * 2
    rng.shuffle(shuffled)
    state = b""
    for update in shuffled:
        state = document.merge(state, update)
    assert document.read(state) == expected
    assert document.read(document.merge(*shuffled)) == expected


@given(TEXT, TEXT, TEXT)
def test_a_lost_update_that_is_sent_again_heals_the_document(text: str, middle: str, last: str) -> None:
    first = document.create(text, {})
    second = document.edit(first, text=middle) or first
    state = document.merge(first, second)
    third = document.edit(state, text=last) or first
    gap = document.merge(first, third)
    assert document.read(document.merge(gap, second)) == document.read(document.merge(state, third))


@settings(max_examples=50)
@given(st.lists(TEXT, min_size=2, max_size=2), TEXT)
def test_edits_made_apart_at_both_ends_both_survive(ends: list[str], middle: str) -> None:
    base = document.create(f"<{middle}>", {})
    left = document.edit(base, text=f"{ends[0]}L<{middle}>")
    right = document.edit(base, text=f"<{middle}>R{ends[1]}")
    assert left and right
    assert document.read(document.merge(base, right, left)).text == f"{ends[0]}L<{middle}>R{ends[1]}"


def test_an_edit_against_an_old_state_merges_into_the_present() -> None:
    old = document.create("one\ntwo\nthree\n", {})
    update = document.edit(old, text="one\ntwo\nthree\nfour by a peer\n")
    assert update
    present = document.merge(old, update)
    stale = document.edit(old, text="ONE\ntwo\nthree\n")
    assert stale
    assert document.read(document.merge(present, stale)).text == "ONE\ntwo\nthree\nfour by a peer\n"


def test_fields_changed_apart_all_hold_and_tags_are_a_set() -> None:
    base = document.create("x", {"topic": "a", "tags": ["one", "two"]})
    here = document.edit(base, fields={"topic": "b", "tags": ["one", "two", "three"]})
    there = document.edit(base, fields={"user_id": "u", "tags": ["two"]})
    assert here and there
    merged = document.read(document.merge(base, there, here))
    assert merged.fields == {"topic": "b", "user_id": "u", "tags": ["three", "two"]}


def test_a_field_set_to_none_goes_and_an_edit_that_changes_nothing_is_no_edit() -> None:
    base = document.create("x", {"user_id": "u", "tags": ["a"]})
    gone = document.edit(base, fields={"user_id": None})
    assert gone
    assert document.read(document.merge(base, gone)).fields == {"tags": ["a"]}
    assert document.edit(base, text="x", fields={"user_id": "u", "tags": ["a"], "speaker": None}) is None


@given(GARBAGE)
def test_bytes_that_are_no_update_change_nothing(garbage: bytes) -> None:
    state = document.create("x", {"topic": "t"})
    if document.alone(garbage) is None:
        assert document.merge(state, garbage) == state
        assert list(document.steps([state, garbage])) == [document.read(state)] * 2
    else:
        assert document.read(document.join(state, garbage)) == document.read(document.merge(garbage, state))


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xff\xff\xff\xff\x0f\x00",  # as many clients as would fill the memory
        b"\x01\xff\xff\xff\xff\x0f\x01\x00\x00",
        b"\x01\x01\x01\x00\x28\x01\x06fields\x01a\x01" + b"\x75\x01" * 100_000 + b"\x75\x00\x00",
        b"\x01\x01\x01\x00\x28\x01\x06fields\x01a\x01\x75\xff\xff\xff\xff\x0f\x00",
        b"\x00\xff\xff\xff\xff\x0f",
        b"\x01\x01\x01\x00\x27\x01\x06fields\x01a\x00\x00",  # a value that is a list of its own
        b"\x01\x01\x01\x00\x04\x01\x05other\x01x\x00",
        b"",
    ],
)
def test_updates_that_would_harm_the_library_never_reach_it(hostile: bytes) -> None:
    assert document.alone(hostile) is None


def test_an_edit_in_ten_megabytes_is_a_small_update() -> None:
    text = "".join(f"line {i} of a long note\n" for i in range(400_000))
    state = document.create(text, {})
    update = document.edit(
        state, text=text.replace("line 7 of", "LINE 7 of").replace("line 399999 of", "LINE 399999 of")
    )
    assert update and len(update) < 1000
    assert document.read(document.merge(state, update)).text.count("LINE") == 2


@given(TEXT, st.dictionaries(st.text(max_size=4), st.recursive(VALUE, lambda inner: st.lists(inner, max_size=2))))
def test_a_document_written_out_is_the_one_the_library_makes(text: str, fields: dict[str, Any]) -> None:
    made: Doc[Any] = Doc()
    body, values = made.get("text", type=Text), made.get("fields", type=Map)
    with made.transaction():
        body += text
        values[""] = fields
    read: Doc[Any] = Doc()
    read.apply_update(new_document(text, "", fields))
    assert str(read.get("text", type=Text)) == text
    assert read.get("fields", type=Map).to_py() == values.to_py()
    # Written again by the library it says the same: nothing is left waiting.
    again: Doc[Any] = Doc()
    again.apply_update(read.get_update())
    assert again.get("fields", type=Map).to_py() == values.to_py()


def test_every_new_document_has_a_client_of_its_own() -> None:
    assert len({document.create("x", {}) for _ in range(1000)}) == 1000


NUMBER = st.integers(0, 3)


@given(TEXT, FIELDS, NUMBER, st.randoms(use_true_random=False))
def test_what_two_nodes_make_of_the_same_content_is_one_document(
    text: str, fields: dict[str, Any], number: int, rng: random.Random
) -> None:
    names = list(fields)
    rng.shuffle(names)
    mine = document.derive(text, fields, {"position": "a0"}, number, 7)
    theirs = document.derive(text, {name: fields[name] for name in names}, {"position": "a1"}, number, 9)
    assert mine.id == theirs.id
    merged = document.read(document.merge(mine.update, theirs.update))
    assert merged.text == text
    assert merged.births == {"born:7", "born:9"}
    # Of fields written apart those of the higher client win, in every document alike.
    assert merged.fields["position"] == "a1"
    assert {name: merged.fields[name] for name in fields} == fields


@given(st.tuples(TEXT, FIELDS, NUMBER), st.tuples(TEXT, FIELDS, NUMBER))
def test_one_client_id_never_stands_for_two_contents(one: Any, other: Any) -> None:
    """The id and the client follow from all that the derived part of the update says: nothing else can be in it."""
    first, second = (document.derive(text, fields, {}, number, 7) for text, fields, number in (one, other))
    if derived_part(first.update) == derived_part(second.update) and one[2] == other[2]:
        assert first == second
    else:
        assert first.id != second.id
        assert derived_client(first.update) != derived_client(second.update)


def test_documents_of_one_content_are_told_apart_by_their_number() -> None:
    assert len({document.derive("x", {"topic": "t"}, {}, number, 7).id for number in range(100)}) == 100


def derived_client(update: bytes) -> bytes:
    """The client id of the first part, as it stands in the update."""
    end = 2
    while update[end] & 0x80:
        end += 1
    return update[2 : end + 1]


def derived_part(update: bytes) -> bytes:
    """The first part but for its client id; the other part, of client 7, says nothing but where it was made."""
    own = b"\x01\x07\x00" + b"\x28\x01\x06fields\x06born:7\x01\x78" + b"\x00"
    assert update.endswith(own)
    return update[1:2] + update[2 + len(derived_client(update)) :].removesuffix(own)


@given(st.integers(0, 1 << 30), st.booleans(), st.booleans())
def test_documents_renamed_together_agree_on_one_of_two_names(seed: int, moved: bool, edited: bool) -> None:
    """Whatever became of each before, and in whatever order the names come."""
    rng = random.Random(seed)
    mine, theirs = rng.getrandbits(53), rng.getrandbits(53)
    names = set()
    for was_moved in (False, moved):
        state = document.create("x", {"topic": "a"})
        if was_moved:
            state = document.merge(state, document.edit(state, fields={"topic": "b"}) or b"")
            state = document.merge(state, document.edit(state, fields={"topic": "a"}) or b"")
        updates = [
            document.edit(state, fields={"topic": "mine"}, client=mine) or b"",
            document.edit(state, fields={"topic": "theirs"}, client=theirs) or b"",
            *([document.edit(state, text="y", fields={"user_id": "u"}) or b""] if edited else []),
        ]
        rng.shuffle(updates)
        names.add(document.read(document.merge(*updates, state)).fields["topic"])
    assert names == {"mine" if mine > theirs else "theirs"}


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_same_edit_of_the_same_text_made_apart_is_one(old: str, new: str) -> None:
    state = document.create(old, {"topic": "t"})
    here, there = document.edit(state, text=new), document.edit(state, text=new)
    assert here == there
    if here is not None:
        assert document.read(document.merge(state, here, here)).text == new


def test_an_item_that_two_people_tick_is_ticked_once() -> None:
    state = document.create("- [ ] call\n- [ ] write\n", {"topic": "t"})
    here = document.edit(state, text="- [x] call\n- [ ] write\n")
    there = document.edit(state, text="- [x] call\n- [ ] write\n")
    also = document.edit(state, text="- [x] call\n- [x] write\n")
    assert here and there and also
    assert document.read(document.merge(state, there, here)).text == "- [x] call\n- [ ] write\n"
    assert document.read(document.merge(state, here, also)).text.count("write") == 1


def test_edits_of_texts_that_only_look_the_same_have_nothing_in_common() -> None:
    state = document.create("aa", {"topic": "t"})
    texts = {}
    for middle in ("ba", "ab"):
        first = document.edit(state, text=middle)
        assert first is not None
        other = document.merge(state, first)
        back = document.edit(other, text="a")
        assert back is not None
        texts[middle] = document.merge(other, back)
    edits = [document.edit(it, text="xa") for it in texts.values()]
    assert edits[0] != edits[1]
    everything = [*texts.values(), *(it for it in edits if it)]
    assert document.read(document.merge(*everything)) == document.read(document.merge(*reversed(everything)))


def test_what_was_taken_back_stays_so_when_the_same_edit_comes_from_an_old_text_again() -> None:
    state = document.create("one\n", {"topic": "t"})
    edit = document.edit(state, text="one two\n")
    assert edit is not None
    edited = document.merge(state, edit)
    back = document.edit(edited, text="one\n")
    assert back is not None
    present = document.merge(edited, back)
    assert document.edit(state, text="one two\n") == edit
    again = document.edit(present, text="one two\n")
    assert again is not None and again != edit
    assert document.read(document.merge(present, again)).text == "one two\n"


def test_the_same_edit_is_one_whatever_else_was_deleted_on_either_side() -> None:
    born = document.create("one\n", {"topic": "t"})
    here = document.merge(born, *filter(None, [document.edit(born, fields={"position": "a1"})]))
    there = document.merge(born, *filter(None, [document.edit(born, fields={"position": "b1"})]))
    here, there = document.merge(here, there), document.merge(there, *_twice_placed(there))
    edits = {document.edit(state, text="one two\n") for state in (born, here, there)}
    assert len(edits) == 1 and None not in edits


def _twice_placed(state: bytes) -> list[bytes]:
    first = document.edit(state, fields={"position": "c1"})
    assert first is not None
    second = document.edit(document.merge(state, first), fields={"position": "d1"})
    assert second is not None
    return [first, second]

"""What a save means: which text was edited, what changed in it, and what others wrote meanwhile stays."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.vault.reconcile import Base, Entry, plan, render
from tests.vault.applied import applied

HEADS = st.sampled_from(["", "# t\n\n", "---\na: 1\n---\n# t\n", "just prose", "\ufeff# x\r\n"])
BODIES = st.sampled_from(
    [
        "",
        "\n",
        "\n\n",
        "\nfoo\n\n",
        "\nbar\nbaz\n",
        "\n```\ncode\n",
        "\n```\nx\n```\n",
        "\r\ncrlf\r\n",
        "\nno end",
        "\n~~~\n",
    ]
)
TIMES = st.sampled_from(["2024-01-01", "2024-01-01 10:00:00 UTC", "2024-01-02 10:00:00 UTC", "2024-01-03 Meeting"])
ENTRY_TEXTS = st.builds(lambda time, body: f"## {time}{body or chr(10)}", TIMES, BODIES)
ODD_TEXTS = st.sampled_from(["", "loose text\n", "loose", "## 2024-02-01\na\n## 2024-02-02\nb\n", "\n"])
FRAGMENTS = st.one_of(ENTRY_TEXTS, ODD_TEXTS, HEADS, st.text(alphabet="ab#`~-\n\r \x00é", max_size=12))


def entries_of(texts: Sequence[str]) -> list[Entry]:
    return [Entry(f"d{i}", text, is_head=i == 0 and not text.startswith("## ")) for i, text in enumerate(texts)]


def files() -> st.SearchStrategy[list[Entry]]:
    entries = st.lists(st.one_of(ENTRY_TEXTS, ENTRY_TEXTS, ODD_TEXTS), max_size=6)
    return st.builds(lambda head, rest: entries_of([head, *rest]), HEADS, entries)


@st.composite
def saves(draw: st.DrawFn) -> tuple[list[Entry], str]:
    """A file and what somebody made of it."""
    known = draw(files())
    texts = [entry.text for entry in known]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(texts)))
        what = draw(st.sampled_from(["insert", "remove", "move", "duplicate"]))
        if what == "insert":
            texts.insert(at, draw(FRAGMENTS))
        elif texts:
            taken = texts[at - 1] if what == "duplicate" else texts.pop(at - 1)
            texts[at:at] = [] if what == "remove" else [taken]
    text = render([Entry("", part) for part in texts])
    for _ in range(draw(st.integers(0, 2))):
        a, b = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        text = text[:a] + draw(FRAGMENTS) + text[min(b, a + draw(st.integers(0, 9))) :]
    return known, text


@settings(max_examples=1500, deadline=None)
@given(saves())
def test_a_plan_applied_to_its_base_is_the_file_again(save: tuple[list[Entry], str]) -> None:
    known, text = save
    made = plan(known, [Base(1, "mirror", known)], text)
    result = applied(made, known, [])
    if not text.strip(" \t\r\n") and text != render(known):
        assert not render(result)
        return
    again = render(result)
    # A line feed is put in where an entry was appended right behind a last line without one.
    assert again == text or again.replace("\n", "") == text.replace("\n", "") and len(again) == len(text) + 1
    placed = [item for item in made.order if isinstance(item, str)]
    assert len(placed) == len(set(placed))
    assert set(made.deletes) <= {entry.document for entry in known}
    assert not set(made.deletes) & set(placed)

"""Names become files by the rule of the original server, and nothing leads out of the vault."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hiveminddb.errors import InvalidInput, VaultError
from hiveminddb.vault.topics import MAX_NAME_BYTES, Topics, from_name, path_of, refusal, topic_of


def original(topic: str) -> str:
    """The rule of the agent-memory server."""
    safe = "".join(c if c.isalnum() or c in ("-", "_", " ") else "_" for c in topic)
    return safe.strip().replace(" ", "-").lower() + ".md"


@given(st.text(min_size=1, max_size=60))
def test_a_name_finds_the_file_of_the_original_server(name: str) -> None:
    try:
        topic = from_name(name)
    except InvalidInput:
        assume(False)
    assert path_of(topic) == original(name) or len(original(name).encode()) > MAX_NAME_BYTES or topic.endswith("_")
    assert refusal(topic + ".md") is None


@given(st.text())
def test_no_name_leads_out_of_the_vault(name: str) -> None:
    try:
        path = path_of(from_name(name))
    except InvalidInput:
        return
    assert "/" not in path and not path.startswith(".") and len(path.encode()) <= MAX_NAME_BYTES


@pytest.mark.parametrize("name", ["", "   ", "\n", "a\x00b", "a\nb", "a\x7f"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        from_name(name)


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("CON", "con_"),
        ("nul", "nul_"),
        ("lpt1", "lpt1_"),
        ("Hello World", "hello-world"),
        ("../x", "___x"),
        ("a.", "a_"),
    ],
)
def test_names_are_mapped(name: str, topic: str) -> None:
    assert from_name(name) == topic


def test_long_names_are_cut_and_kept_apart() -> None:
    one, other = from_name("ü" * 400 + "1"), from_name("ü" * 400 + "2")
    assert one != other and len(path_of(one).encode()) <= MAX_NAME_BYTES


@pytest.mark.parametrize(
    "path",
    [
        "/etc/x.md",
        "../x.md",
        "a/../x.md",
        "a//x.md",
        ".md",
        "a/.md",
        ".hivemind/x.md",
        "a/.obsidian/x.md",
        "x.txt",
        "x",
        "",
        "a\x00.md",
        "a\nb.md",
        "x" * 253 + ".md",
        "/".join(["y" * 200] * 20) + ".md",
        "\udcff.md",
        "./x.md",
    ],
)
def test_paths_that_are_no_topic_files_are_refused(path: str) -> None:
    assert refusal(path)
    with pytest.raises(VaultError):
        topic_of(path)
    if path.endswith(".md"):
        with pytest.raises(VaultError):
            path_of(path.removesuffix(".md"))


@pytest.mark.parametrize("path", ["x.md", "projects/x.md", "con.md", "A B.md", "ends with dot..md", "a\\b.md", "ü.md"])
def test_paths_that_people_made_are_used(path: str) -> None:
    assert path_of(topic_of(path)) == path


def test_a_name_uses_the_file_that_is_there() -> None:
    known = Topics(["projects/x", "Notes", "notes-2"])
    assert known.resolve("projects/x") == "projects/x"
    assert known.resolve("notes") == "Notes"
    assert known.resolve("NOTES 2") == "notes-2"
    assert known.resolve("projects/y") == "projects_y"
    known.add("notes")
    assert known.resolve("notes") == "notes" and known.resolve("Notes") == "Notes"
    known.discard("Notes")
    assert "Notes" not in known and "notes" in known

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiveminddb.daemon.embedding.embedder import NoEmbedder
from hiveminddb.daemon.embedding.spec import (
    LocalModel,
    NoModel,
    RemoteModel,
    open_embedder,
    parse,
    shipped_model,
)
from hiveminddb.errors import InvalidConfig, Unavailable


def test_nothing_said_means_the_shipped_model() -> None:
    assert parse(None, {}) == parse("  ", {}) == shipped_model()
    assert shipped_model().path.is_file()


def test_none_means_no_vectors() -> None:
    assert parse("none", {}) == NoModel()


def test_a_local_path_is_made_absolute() -> None:
    assert parse("local:models/x.gguf", {}) == LocalModel(Path.cwd() / "models/x.gguf")
    assert parse("local:~/x.gguf", {}) == LocalModel(Path.home() / "x.gguf")


def test_openai_takes_its_key_from_the_environment_and_hides_it() -> None:
    spec = parse("openai:text-embedding-3-small", {"OPENAI_API_KEY": "sk-secret"})
    assert spec == RemoteModel(
        "openai:text-embedding-3-small", "openai", "https://api.openai.com/v1", "text-embedding-3-small", "sk-secret"
    )
    assert "sk-secret" not in repr(spec)


def test_openai_without_a_key_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="OPENAI_API_KEY"):
        parse("openai:text-embedding-3-small", {})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("desk.lan", "http://desk.lan:11434"),
        ("desk.lan:9000", "http://desk.lan:9000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("https://ollama.example", "https://ollama.example:443"),
        ("http://[::1]:11434/", "http://[::1]:11434"),
    ],
)
def test_ollama_is_looked_for_where_its_own_variable_says(host: str, url: str) -> None:
    assert parse("ollama:nomic-embed-text:v1.5", {"OLLAMA_HOST": host}) == RemoteModel(
        "ollama:nomic-embed-text:v1.5", "ollama", url, "nomic-embed-text:v1.5"
    )


def test_an_endpoint_names_its_model_behind_a_hash() -> None:
    spec = parse("http://127.0.0.1:8080/v1#bge/small", {"HIVEMIND_EMBEDDING_API_KEY": "k"})
    assert spec == RemoteModel(
        "http://127.0.0.1:8080/v1#bge/small", "openai", "http://127.0.0.1:8080/v1", "bge/small", "k"
    )


@pytest.mark.parametrize(
    "value",
    ["minilm", "local:", "local:model.bin", "openai:", "ollama:", "http://", "http://host/v1", "https://host:x/v1#m",
     "http://host:0/v1#m", "ftp://host#m", "NONE!", "http:///v1#m", "http://[::1/v1#m", "\0"],
)  # fmt: skip
def test_a_bad_value_is_named_with_the_accepted_forms(value: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(value, {"OPENAI_API_KEY": "k"})
    assert repr(value) in caught.value.message
    assert "http(s)://host/v1#<model>" in caught.value.hint


def test_a_password_in_an_address_is_refused_without_being_repeated() -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse("https://me:hunter2@host/v1#m", {})
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_value_is_a_spec_or_an_invalid_config(value: str) -> None:
    try:
        parse(value, {})
    except InvalidConfig as error:
        assert error.hint


@pytest.mark.anyio
async def test_without_a_model_vectors_are_unavailable_by_choice() -> None:
    async with open_embedder(NoModel()) as embedder:
        assert embedder.state.name == "off"
        with pytest.raises(Unavailable, match="none"):
            await embedder.embed_query("x")
        with pytest.raises(Unavailable, match="none"):
            await embedder.embed_texts(["x"])
    assert isinstance(open_embedder(NoModel()), NoEmbedder)

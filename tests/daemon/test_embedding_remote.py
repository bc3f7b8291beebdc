"""Remote models over real HTTP, against a server that speaks the real protocols."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hiveminddb.daemon.embedding.remote import BATCH, PASSAGE_CHARACTERS, Patience, RemoteEmbedder
from hiveminddb.daemon.embedding.spec import open_embedder, parse
from hiveminddb.errors import Unavailable
from tests.daemon.model_server import ModelServer, model_server

pytestmark = pytest.mark.anyio

QUICK = Patience(query=30.0, first=0.01, last=0.02, denied=0.02, tries=3)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


def remote(server: ModelServer, *, key: str = "", patience: Patience = QUICK) -> RemoteEmbedder:
    return RemoteEmbedder(name="test", api="openai", url=f"{server.url}/v1", model="m", key=key, patience=patience)


async def until(condition: Callable[[], object]) -> None:
    """Waits for the condition; the bound only ends a hang."""
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_endpoint_gives_normalised_vectors_in_the_order_asked(server: ModelServer) -> None:
    async with open_embedder(parse(f"{server.url}/v1#m", {})) as embedder:
        one, two = await embedder.embed_texts(["one", "two"])
        query = await embedder.embed_query("two")
        assert embedder.dim == 8
        assert embedder.state.name == "ready"
        assert embedder.model_id == f"{server.url}/v1#m"
    assert one.shape == (1, 8) and one.dtype == np.float32
    assert np.allclose(np.linalg.norm(one, axis=1), 1.0)
    assert np.array_equal(query, two[0]) and not np.array_equal(query, one[0])
    assert server.requests[0] == {"model": "m", "input": ["ready?"], "encoding_format": "float"}


async def test_ollama_is_spoken_to_in_its_own_protocol(server: ModelServer) -> None:
    async with open_embedder(parse("ollama:nomic-embed-text", {"OLLAMA_HOST": server.url})) as embedder:
        (rows,) = await embedder.embed_texts(["x"])
        assert rows.shape == (1, 8)
    assert server.requests[-1] == {"model": "nomic-embed-text", "input": ["x"], "truncate": True}


async def test_a_model_ollama_does_not_have_is_broken_and_says_what_to_do(server: ModelServer) -> None:
    async with open_embedder(parse("ollama:absent", {"OLLAMA_HOST": server.url})) as embedder:
        await until(lambda: embedder.state.name == "broken")
        assert "try pulling it first" in embedder.state.reason
        with pytest.raises(Unavailable, match="pulling"):
            await embedder.embed_texts(["x"])


async def test_the_key_is_sent_and_a_wrong_one_is_broken_until_it_is_right(server: ModelServer) -> None:
    server.key = "right"
    async with remote(server, key="right") as embedder:
        assert (await embedder.embed_query("x")).shape == (8,)
    async with remote(server, key="wrong") as embedder:
        await until(lambda: embedder.state.name == "broken")
        assert "Incorrect API key" in embedder.state.reason and "wrong" not in embedder.state.reason
        server.key = ""
        await until(lambda: embedder.state.name == "ready")


async def test_long_texts_are_sent_as_passages_in_batches(server: ModelServer) -> None:
    async with remote(server) as embedder:
        long, short = await embedder.embed_texts(["word " * 10_000, "short"])
    assert len(long) > BATCH and len(short) == 1
    assert all(len(asked["input"]) <= BATCH for asked in server.requests)
    assert all(len(text) <= PASSAGE_CHARACTERS for asked in server.requests for text in asked["input"])


async def test_a_busy_server_is_asked_again(server: ModelServer) -> None:
    async with remote(server) as embedder:
        await until(lambda: embedder.state.name == "ready")
        server.failures = [(429, "slow down"), (503, "overloaded")]
        (rows,) = await embedder.embed_texts(["x"])
        assert len(rows) == 1


async def test_a_server_that_stays_away_is_restarting_and_comes_back(server: ModelServer) -> None:
    async with remote(server) as embedder:
        await until(lambda: embedder.state.name == "ready")
        server.failures = [(500, "boom")] * 40
        with pytest.raises(Unavailable, match="boom"):
            await embedder.embed_texts(["x"])
        await until(lambda: embedder.state.name == "ready")
        (rows,) = await embedder.embed_texts(["x"])
        assert len(rows) == 1


async def test_texts_wait_for_a_server_that_is_not_there_yet_and_queries_do_not(server: ModelServer) -> None:
    server.failures = [(503, "starting")] * 20
    async with remote(server) as embedder:
        await until(lambda: embedder.state.name == "restarting")
        with pytest.raises(Unavailable, match="restarting"):
            await embedder.embed_query("x")
        (rows,) = await embedder.embed_texts(["x"])
        assert len(rows) == 1


async def test_an_address_where_nothing_listens_says_so() -> None:
    with model_server() as gone:
        pass
    async with remote(gone) as embedder:
        await until(lambda: embedder.state.name == "restarting")
        assert gone.url in embedder.state.reason


async def test_only_the_text_that_is_refused_is_set_aside(server: ModelServer) -> None:
    async with remote(server) as embedder:
        found = await embedder.embed_texts(["one", "two", "unacceptable", "three"])
        assert [len(rows) for rows in found] == [1, 1, 0, 1]
        assert embedder.set_aside == 1
        assert embedder.state.name == "ready"


async def test_vectors_of_another_length_are_not_mixed_in(server: ModelServer) -> None:
    async with remote(server) as embedder:
        await embedder.embed_query("x")
        server.dim = 12
        with pytest.raises(Unavailable, match="12 numbers where they had 8"):
            await embedder.embed_texts(["y"])
        assert embedder.state.name == "broken"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>captive portal</html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": [0.0, 0.0]}]}',
        b'{"data": [{"index": 0, "embedding": ["a"]}]}',
        b'{"data": [{"index": 0, "embedding": [1e999]}]}',
        b"[" * 100_000,
    ],
)
async def test_an_answer_that_is_not_the_protocol_is_broken(server: ModelServer, body: bytes) -> None:
    server.body = body
    async with remote(server) as embedder:
        await until(lambda: embedder.state.name == "broken")
        with pytest.raises(Unavailable):
            await embedder.embed_query("x")


async def test_an_endless_answer_is_cut_off(server: ModelServer) -> None:
    server.body = b" " * (17 << 20)
    async with remote(server) as embedder:
        await until(lambda: embedder.state.name == "broken")
        assert "more than" in embedder.state.reason


async def test_a_query_has_a_deadline_and_texts_do_not_hold_it_up(server: ModelServer) -> None:
    async with remote(server, patience=Patience(query=0.3, first=0.01)) as embedder:
        await until(lambda: embedder.state.name == "ready")
        server.hold = threading.Event()
        with pytest.raises(Unavailable, match=r"no answer in 0\.3 s"):
            await embedder.embed_query("x")
        server.hold.set()
        await until(lambda: embedder.state.name == "ready")
        assert (await embedder.embed_query("x")).shape == (8,)


async def test_leaving_ends_what_waits(server: ModelServer) -> None:
    server.failures = [(503, "starting")] * 10_000
    async with remote(server) as embedder:
        work = asyncio.create_task(embedder.embed_texts(["x"] * 200))
        await until(lambda: embedder.state.name == "restarting")
    with pytest.raises(Unavailable, match="stopped"):
        await work

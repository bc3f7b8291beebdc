"""The supervision of the embedding child, with the real model where the model matters."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hiveminddb.daemon.embedding.local import LocalEmbedder, model_name
from hiveminddb.daemon.embedding.passages import PASSAGE_LIMIT
from hiveminddb.daemon.embedding.process import Deadlines
from hiveminddb.daemon.embedding.spec import shipped_model
from hiveminddb.errors import Unavailable

pytestmark = pytest.mark.anyio

MODEL = shipped_model().path
STAND_IN = Path(__file__).with_name("stand_in_child.py")
PATIENT = Deadlines(query=60.0)


async def until(condition: Callable[[], object]) -> None:
    """Waits for the condition; the bound only ends a hang."""
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def real() -> LocalEmbedder:
    return LocalEmbedder(MODEL, deadlines=PATIENT)


def stand_in(tmp_path: Path, mode: str = "normal", deadlines: Deadlines = PATIENT) -> LocalEmbedder:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    return LocalEmbedder(model, deadlines=deadlines, command=(sys.executable, str(STAND_IN), mode))


async def test_vectors_are_normalised_alike_each_time_and_near_for_near_meaning() -> None:
    async with real() as embedder:
        query = await embedder.embed_query("Where did the cat sleep?")
        cat, deploy, again = await embedder.embed_texts(
            ["The kitten naps on the sofa.", "Deploy the billing service.", "The kitten naps on the sofa."]
        )
    assert query.shape == (384,) and cat.shape == (1, 384) and cat.dtype == np.float32
    assert np.allclose(np.linalg.norm(cat, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(cat, again)
    assert query @ cat[0] > query @ deploy[0] + 0.2


async def test_entering_does_not_wait_for_the_model() -> None:
    embedder = real()
    async with embedder:
        entered = embedder.state
        assert (entered.name, embedder.dim) == ("loading", None)
        await until(lambda: embedder.state.name == "ready")
        assert embedder.dim == 384
        assert embedder.model_id.startswith("all-minilm-l6-v2.q8_0-")
    left = embedder.state
    assert (left.name, embedder.pid) == ("off", None)


async def test_the_beginning_of_a_huge_text_has_vectors_and_a_query_goes_before_its_passages() -> None:
    async with real() as embedder:
        await embedder.embed_query("warm")
        huge = asyncio.create_task(embedder.embed_texts(["Notes about the harbour and its boats. " * 300_000]))
        others = asyncio.create_task(embedder.embed_texts(["one", "two"] * 20))
        await embedder.embed_query("boats")
        assert not huge.done() and not others.done()
        others.cancel()
        huge.cancel()


async def test_a_long_text_has_a_vector_for_each_passage_and_its_end_is_found() -> None:
    text = "The weather was grey. " * 200 + "The password of the lighthouse is kelp."
    async with real() as embedder:
        (rows,) = await embedder.embed_texts([text])
        query = await embedder.embed_query("lighthouse password")
    assert 1 < len(rows) <= PASSAGE_LIMIT
    assert int(np.argmax(rows @ query)) == len(rows) - 1


async def test_any_string_can_be_embedded() -> None:
    texts = ["", " \n", "\0", "\ud800 lone", "👩‍👩‍👧‍👦" * 500, "[CLS] [SEP] [MASK]", "a" * 20_000, "日本語" * 400]
    async with real() as embedder:
        found = await embedder.embed_texts(texts)
    assert all(len(rows) >= 1 and np.isfinite(rows).all() for rows in found)
    assert embedder.set_aside == 0


async def test_texts_survive_a_killed_child_and_are_embedded_by_the_next() -> None:
    texts = [f"note {number} about the sea" for number in range(60)]
    async with real() as embedder:
        calm = await embedder.embed_texts(texts)
        first = embedder.pid
        work = asyncio.create_task(embedder.embed_texts(texts))
        await asyncio.sleep(0)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        after = await work
        assert embedder.state.name == "ready"
        assert embedder.pid != first
    assert all(np.array_equal(left, right) for left, right in zip(calm, after, strict=True))


async def test_a_query_fails_at_once_while_the_child_is_away() -> None:
    async with real() as embedder:
        await until(lambda: embedder.state.name == "ready")
        assert embedder.pid is not None
        os.kill(embedder.pid, signal.SIGKILL)
        await until(lambda: embedder.state.name == "restarting")
        with pytest.raises(Unavailable, match="restarting"):
            await embedder.embed_query("x")
        await until(lambda: embedder.state.name == "ready")
        assert (await embedder.embed_query("x")).shape == (384,)


async def test_the_child_ends_when_its_input_closes(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "hiveminddb.daemon.embedding.child", str(MODEL))
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None and child.stdout is not None
    await child.stdout.readexactly(4)
    child.stdin.close()
    async with asyncio.timeout(180):
        await child.communicate()
    assert child.returncode == 0


@pytest.mark.parametrize("content", [b"", b"not a model at all" * 1000, b"GGUF\x03\x00\x00\x00" + b"\xff" * 4000])
async def test_a_file_that_is_no_model_is_broken_and_says_so(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "bad.gguf"
    model.write_bytes(content)
    async with LocalEmbedder(model) as embedder:
        await until(lambda: embedder.state.name == "broken")
        assert "bad.gguf" in embedder.state.reason
        with pytest.raises(Unavailable, match=r"bad\.gguf"):
            await embedder.embed_query("x")
        with pytest.raises(Unavailable):
            await embedder.embed_texts(["x", "y"])


async def test_a_truncated_model_is_broken(tmp_path: Path) -> None:
    model = tmp_path / "half.gguf"
    model.write_bytes(MODEL.read_bytes()[:3_000_000])
    async with LocalEmbedder(model) as embedder:
        with pytest.raises(Unavailable):
            await embedder.embed_texts(["asked while it was loading"])
        assert embedder.state.name == "broken"


async def test_a_missing_model_is_broken_from_the_start(tmp_path: Path) -> None:
    async with LocalEmbedder(tmp_path / "none.gguf") as embedder:
        assert embedder.state.name == "broken"
        assert "none.gguf" in embedder.state.reason


async def test_a_model_replaced_under_way_is_not_mixed_with_the_old(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        await embedder.embed_query("x")
        (tmp_path / "model.gguf").write_bytes(b"GGUF another")
        assert embedder.pid is not None
        os.kill(embedder.pid, signal.SIGKILL)
        await until(lambda: embedder.state.name == "broken")
        assert "changed" in embedder.state.reason


async def test_a_text_that_kills_the_child_twice_is_set_aside_and_the_others_are_not(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        before, deadly, after = await embedder.embed_texts(["one", "die", "two"])
        assert (len(before), len(deadly), len(after)) == (1, 0, 1)
        assert embedder.set_aside == 1
        survivor = embedder.pid
        (again,) = await embedder.embed_texts(["die"])
        with pytest.raises(Unavailable, match="could not take"):
            await embedder.embed_query("die")
        assert len(again) == 0
        assert embedder.pid == survivor


async def test_the_reason_of_a_death_is_the_childs_last_word(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        with pytest.raises(Unavailable, match="GGML_ASSERT failed"):
            await embedder.embed_query("die")


async def test_a_hanging_child_is_replaced(tmp_path: Path) -> None:
    async with stand_in(tmp_path, deadlines=Deadlines(silence=0.3, query=60.0)) as embedder:
        with pytest.raises(Unavailable, match="did not answer in time"):
            await embedder.embed_query("hang")
        (rows,) = await embedder.embed_texts(["fine"])
        assert len(rows) == 1


async def test_a_query_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    async with stand_in(tmp_path, deadlines=Deadlines(query=0.3)) as embedder:
        await until(lambda: embedder.state.name == "ready")
        with pytest.raises(Unavailable, match="longer than"):
            await embedder.embed_query("hang")


async def test_a_refused_text_is_set_aside_without_a_restart(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        await embedder.embed_query("x")
        child = embedder.pid
        (rows,) = await embedder.embed_texts(["refuse"])
        assert len(rows) == 0
        assert (embedder.set_aside, embedder.pid) == (1, child)


async def test_a_child_that_babbles_is_replaced(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        with pytest.raises(Unavailable, match="not a frame"):
            await embedder.embed_query("babble")
        (rows,) = await embedder.embed_texts(["fine"])
        assert len(rows) == 1


async def test_a_model_that_never_comes_up_is_broken_and_texts_do_not_wait_for_ever(tmp_path: Path) -> None:
    async with stand_in(tmp_path, "stillborn") as embedder:
        with pytest.raises(Unavailable, match="no room for the model"):
            await embedder.embed_texts(["x"] * 20)
        assert embedder.state.name == "broken"


async def test_leaving_fails_what_is_under_way(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        work = asyncio.create_task(embedder.embed_texts(["hang"] * 30))
        await until(lambda: embedder.state.name == "ready")
    with pytest.raises(Unavailable, match="stopped"):
        await work


async def test_a_cancelled_caller_leaves_nothing_behind(tmp_path: Path) -> None:
    async with stand_in(tmp_path) as embedder:
        work = asyncio.create_task(embedder.embed_texts([f"text {number}" for number in range(200)]))
        await until(lambda: embedder.state.name == "ready")
        work.cancel()
        (rows,) = await embedder.embed_texts(["fine"])
        assert len(rows) == 1


def test_a_models_name_is_stable_and_tells_files_apart(tmp_path: Path) -> None:
    (tmp_path / "A.gguf").write_bytes(b"x" * 100)
    (tmp_path / "b.gguf").write_bytes(b"y" * 100)
    assert model_name(tmp_path / "A.gguf") == model_name(tmp_path / "A.gguf")
    assert model_name(tmp_path / "A.gguf").startswith("a-")
    assert model_name(tmp_path / "A.gguf")[2:] != model_name(tmp_path / "b.gguf")[2:]

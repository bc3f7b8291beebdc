"""One embedding child at a time: starting it, hearing it out, and saying why it died."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import hiveminddb
from hiveminddb.daemon.embedding import frames as frames

STDERR_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds a child may be silent while loading or with work in hand, and a query may take in all."""

    load: float = 60.0
    silence: float = 30.0
    query: float = 1.0


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    stdin: asyncio.WriteTransport
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


class EmbeddingProcess:
    """A child process that answers frames; `take` is given each answer and says whether more are due."""

    def __init__(self, command: Sequence[str], deadlines: Deadlines, take: Callable[[frames.Answer], bool]) -> None:
        self._command = command
        self._deadlines = deadlines
        self._take = take
        self._child: _Child | None = None
        self._clock = asyncio.timeout(None)

    @property
    def pid(self) -> int | None:
        """None while there is no child."""
        return self._child.process.pid if self._child else None

    def send(self, request: frames.Embed) -> None:
        """Asks a living child; nothing is said to a dead one."""
        if self._child is None:
            return
        self._child.stdin.write(frames.frame(request))
        if self._clock.when() is None:
            self._expect(True)

    async def live(self) -> str:
        """One child from birth to death, and why it died."""
        said: deque[str] = deque(maxlen=STDERR_KEPT)
        try:
            async with _started(self._command) as child:
                drain = asyncio.create_task(_keep_last(child.stderr, said))
                self._child = child
                try:
                    reason = await self._hear(child.stdout)
                finally:
                    self._child = None
                    child.process.kill()
                    await drain
        except OSError as error:
            return f"the embedding process did not start: {error}"
        last = "".join(said).strip().rpartition("\n")[2]
        return reason or f"the embedding process ended with {child.process.returncode}{': ' if last else ''}{last}"

    async def _hear(self, stdout: asyncio.StreamReader) -> str:
        try:
            async with asyncio.timeout(self._deadlines.load) as self._clock:
                while True:
                    head = await stdout.readexactly(frames.LENGTH_BYTES)
                    body = await stdout.readexactly(frames.length_of(head))
                    self._expect(self._take(frames.answer(body)))
        except TimeoutError:
            return "the embedding process did not answer in time"
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""
        except ValueError as error:
            return f"the embedding process sent what is not a frame: {error}"

    def _expect(self, more: bool) -> None:
        end = asyncio.get_running_loop().time() + self._deadlines.silence
        self._clock.reschedule(end if more else None)


def _environment() -> dict[str, str]:
    # The child runs with -P, so that the folder the daemon was started in is not on its import path; this folder is.
    roots = [str(Path(next(iter(hiveminddb.__path__))).parent), os.environ.get("PYTHONPATH", "")]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(filter(None, roots))}


@asynccontextmanager
async def _started(command: Sequence[str]) -> AsyncIterator[_Child]:
    """A child that is gone in the end. OSError where it does not start.

    Not by the loop: uvloop forks and lets Python clean up in the fork, which closes the databases of all other threads
    there, or waits for ever for a lock that one of them held.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: ASYNC220 (returns once the other program has begun)
        command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment()
    )
    assert process.stdin and process.stdout and process.stderr
    ends: list[asyncio.BaseTransport] = []
    try:
        stdin, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, process.stdin)
        ends.append(stdin)
        stdout, stderr = await _reading(process.stdout, ends), await _reading(process.stderr, ends)
        yield _Child(process, stdin, stdout, stderr)
    finally:
        process.kill()
        for end in ends:
            end.close()
        await asyncio.to_thread(process.wait)


async def _reading(pipe: IO[bytes], ends: list[asyncio.BaseTransport]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    end, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    ends.append(end)
    return reader


async def _keep_last(stream: asyncio.StreamReader, kept: deque[str]) -> None:
    while chunk := await stream.read(4096):
        kept.extend(chunk.decode(errors="replace"))

"""One embedding child at a time: starting it, hearing it out, and saying why it died."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import hiveminddb
from hiveminddb.daemon.embedding import frames as frames

STDERR_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds a child may be silent while loading or with work in hand, and a query may take in all."""

    load: float = 60.0
    silence: float = 30.0
    query: float = 1.0


class EmbeddingProcess:
    """A child process that answers frames; `take` is given each answer and says whether more are due."""

    def __init__(self, command: Sequence[str], deadlines: Deadlines, take: Callable[[frames.Answer], bool]) -> None:
        self._command = command
        self._deadlines = deadlines
        self._take = take
        self._process: asyncio.subprocess.Process | None = None
        self._clock = asyncio.timeout(None)

    @property
    def pid(self) -> int | None:
        """None while there is no child."""
        return self._process.pid if self._process else None

    def send(self, request: frames.Embed) -> None:
        """Asks a living child; nothing is said to a dead one."""
        if not self._process or not self._process.stdin:
            return
        self._process.stdin.write(frames.frame(request))
        if self._clock.when() is None:
            self._expect(True)

    async def live(self) -> str:
        """One child from birth to death, and why it died."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment()
            )
        except OSError as error:
            return f"the embedding process did not start: {error}"
        said: deque[str] = deque(maxlen=STDERR_KEPT)
        drain = asyncio.create_task(_keep_last(process.stderr, said))
        self._process = process
        try:
            reason = await self._hear(process)
        finally:
            self._process = None
            drain.cancel()
            await _end(process)
        last = "".join(said).strip().rpartition("\n")[2]
        return reason or f"the embedding process ended with {process.returncode}{': ' if last else ''}{last}"

    async def _hear(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._deadlines.load) as self._clock:
                while True:
                    head = await process.stdout.readexactly(frames.LENGTH_BYTES)
                    body = await process.stdout.readexactly(frames.length_of(head))
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


async def _keep_last(stream: asyncio.StreamReader | None, kept: deque[str]) -> None:
    while stream and (chunk := await stream.read(4096)):
        kept.extend(chunk.decode(errors="replace"))


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    # Reads the pipes to their ends, so that their transports are closed.
    await process.communicate()

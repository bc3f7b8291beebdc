"""The embedding process: requests on stdin, vectors on stdout, nothing else of the daemon in it.

It goes when stdin closes, so it never outlives the daemon. A crash in native code costs this process only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

from hiveminddb.daemon.embedding import frames as frames
from hiveminddb.daemon.embedding.model import EmbeddingModel, ModelError

NICENESS = 10


class Inbox:
    """Requests as they arrive, urgent ones first; the daemon bounds how many are under way."""

    def __init__(self) -> None:
        self._urgent: deque[frames.Embed] = deque()
        self._texts: deque[frames.Embed] = deque()
        self._arrived = threading.Condition()

    def put(self, request: frames.Embed) -> None:
        with self._arrived:
            (self._urgent if request.urgent else self._texts).append(request)
            self._arrived.notify()

    def next(self) -> frames.Embed:
        """The next request, waiting for one."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._urgent or self._texts)
            return (self._urgent or self._texts).popleft()

    def next_urgent(self) -> frames.Embed | None:
        """The next urgent request, if one is here."""
        with self._arrived:
            return self._urgent.popleft() if self._urgent else None


class Child:
    """One model serving one inbox."""

    def __init__(self, model: EmbeddingModel, inbox: Inbox, out: BinaryIO) -> None:
        self._model = model
        self._inbox = inbox
        self._out = out

    def serve(self) -> None:
        """Answers for ever; ends with the process."""
        self._say(frames.Ready(self._model.dim))
        while True:
            request = self._inbox.next()
            try:
                self._answer(request)
            except ModelError as error:
                self._say(frames.Refused(request.id, str(error)))

    def _answer(self, request: frames.Embed) -> None:
        self._say(frames.Working(request.id))
        passages = self._model.passages(request.text)
        if request.urgent:
            del passages[1:]
        for index, tokens in enumerate(passages):
            if not request.urgent:
                self._let_urgent_pass(request)
            self._say(frames.Passage(request.id, index, len(passages), self._model.embed(tokens)))

    def _let_urgent_pass(self, request: frames.Embed) -> None:
        while urgent := self._inbox.next_urgent():
            try:
                self._answer(urgent)
            except ModelError as error:
                self._say(frames.Refused(urgent.id, str(error)))
            self._say(frames.Working(request.id))

    def _say(self, message: frames.Answer) -> None:
        say(self._out, message)


def say(out: BinaryIO, message: frames.Answer) -> None:
    out.write(frames.frame(message))
    out.flush()


def listen(source: BinaryIO, inbox: Inbox) -> None:
    """Fills the inbox; ends the process with its input, even in the middle of a passage."""
    try:
        while request := frames.read_request(source):
            inbox.put(request)
    finally:
        os._exit(0)


def main() -> None:
    # An interrupt from the terminal reaches the whole group; when to stop is the daemon's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Writing and searching come first where there are not cores enough for all.
    os.nice(NICENESS)
    # Native code may print; nothing but frames may reach the pipe.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    inbox = Inbox()
    threading.Thread(target=listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    try:
        model = EmbeddingModel(Path(sys.argv[1]))
    except ModelError as error:
        say(out, frames.Failed(str(error)))
        raise SystemExit(1) from None
    try:
        Child(model, inbox, out).serve()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()

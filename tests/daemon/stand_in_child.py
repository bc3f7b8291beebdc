"""Speaks an embedding child's protocol without a model; the texts say what happens to it."""

from __future__ import annotations

import os
import signal
import sys
import time

from hiveminddb.daemon.embedding import frames as frames

UNIT = b"\x00\x00\x80\x3f" + b"\x00" * 12


def say(message: frames.Answer) -> None:
    sys.stdout.buffer.write(frames.frame(message))
    sys.stdout.buffer.flush()


def obey(request: frames.Embed) -> None:
    say(frames.Working(request.id))
    match request.text:
        case b"die":
            sys.stderr.write("GGML_ASSERT failed\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        case b"hang":
            time.sleep(3600)
        case b"refuse":
            say(frames.Refused(request.id, "too strange"))
        case b"babble":
            sys.stdout.buffer.write(b"\xff" * 100)
            sys.stdout.buffer.flush()
        case _:
            say(frames.Passage(request.id, 0, 1, UNIT))


def main() -> None:
    if sys.argv[1] == "stillborn":
        raise SystemExit("no room for the model")
    say(frames.Ready(4))
    while request := frames.read_request(sys.stdin.buffer):
        obey(request)


if __name__ == "__main__":
    main()

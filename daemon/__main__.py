"""`python -m hiveminddb.daemon`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence

import uvloop

from hiveminddb.daemon import config, node
from hiveminddb.daemon.config import Config
from hiveminddb.errors import HiveMindError

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.001

# Rows and requests are made by the thousand and hardly ever hold each other in circles: collecting at the usual seven
# hundred takes a tenth of the time of writing.
GARBAGE_THRESHOLDS = (50_000, 20, 100)

STOPPING = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT; 0 after a clean stop, 1 with a reason on stderr."""
    # A lease on a file being replaced is broken by this signal, whose default is to end the process.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    # The loop and the writer hand each other small pieces of work: waiting five milliseconds for a turn would cost more
    # than the work does.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        settings = config.load(_flags(arguments), os.environ)
        _log_to_stderr(settings.log_level)
        uvloop.run(_run(settings))
    except HiveMindError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, _stop, stop, number)
    await node.run(settings, stop)
    log.info("stopped")


def _stop(stop: asyncio.Event, number: int) -> None:
    log.info("stopping signal=%s", signal.Signals(number).name)
    stop.set()


def _flags(arguments: Sequence[str] | None) -> dict[str, str | None]:
    parser = argparse.ArgumentParser(prog="hmd daemon", description="The HiveMindDB daemon, in the foreground.")
    parser.add_argument("--data-dir", help="where the database lives")
    parser.add_argument("--vault", help="the folder of markdown files")
    parser.add_argument("--listen", dest="listen_addr", metavar="HOST:PORT", help="where the API listens")
    parser.add_argument("--peer-addr", metavar="HOST:PORT", help="where peers are listened for")
    parser.add_argument("--peers", metavar="HOST:PORT,…", help="peers to look for where multicast does not reach")
    parser.add_argument("--name", help="what this machine is called in its swarm")
    parser.add_argument("--embedding-model", help="local:<path.gguf>, openai:<model>, ollama:<model>, a URL or none")
    parser.add_argument("--log-level", help=", ".join(config.LOG_LEVELS))
    return vars(parser.parse_args(arguments))


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="time=%(asctime)s.%(msecs)03d level=%(levelname)s part=%(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    # Uvicorn warns of every malformed request; the caller is told, and who can connect could fill the log.
    # Watchfiles counts events; what they meant is told by the mirror.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())

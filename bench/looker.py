"""A process of its own that announces a node and prints what it discovers, one JSON object a line.

Arguments: node id, port, swarm tag. Lines on stdin: `announce` with a JSON object of fields to change, or `quiet`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import asdict, replace
from typing import Any

import uvloop

from hiveminddb.model import NodeId
from hiveminddb.sync.announcement import Announcement, Seen
from hiveminddb.sync.discovery import Discovery


def tell(what: str, **fields: Any) -> None:
    print(json.dumps({"what": what, **fields}), flush=True)


async def main(node: str, port: str, swarm: str) -> None:
    def on_seen(seen: Seen) -> None:
        tell("seen", **{**asdict(seen), "hosts": [address.host for address in seen.addresses]})

    def on_lost(node: NodeId) -> None:
        tell("lost", node=node)

    discovery = Discovery(NodeId(node), on_seen, on_lost)
    announcement = Announcement(int(port), swarm, alone=True)
    discovery.announce(announcement)
    task = asyncio.create_task(discovery.run())
    tell("ready")
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        fields = json.loads(line)
        if fields is None:
            discovery.announce(None)
        else:
            announcement = replace(announcement, **fields)
            discovery.announce(announcement)
    task.cancel()
    await asyncio.wait([task])
    tell("end", cancelled=task.cancelled())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(main(*sys.argv[1:]))

"""The way in and out: pysyncobj's transport, and the box that holds back what must be on disk before it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.codec import Answer, Message, Request, Together, encode

# Bytes of requests after which another message is begun.
_TOGETHER_BYTES = 1 << 20


class Peer(Node):  # type: ignore[misc]
    """A node is its id, wherever it is. Compared and hashed all the time, therefore cheaply."""

    def __init__(self, id: NodeId) -> None:
        super().__init__(id)
        self._hash = hash(id)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Peer) and self._id == other._id)


class Mailbox(Transport):  # type: ignore[misc]
    """What pysyncobj wants sent, handed to one function as (peer, its message)."""

    def __init__(self, send: Callable[[NodeId, dict[str, Any]], None]) -> None:
        super().__init__(None, None, ())
        self._send = send

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self._send(node.id, message)
        return True

    def hand_over(self, node: Node, message: dict[str, Any]) -> None:
        self._onMessageReceived(node, message)


class Outbox:
    """Entries leave at once, so that peers write while this node writes; votes and acknowledgements after the sync."""

    def __init__(self, send: Callable[[NodeId, bytes], bool]) -> None:
        self._send = send
        self._held: list[tuple[NodeId, Message]] = []
        self._requests: dict[NodeId, list[Request]] = {}
        self._answers: dict[NodeId, list[Answer]] = {}

    def now(self, peer: NodeId, message: Message) -> int:
        """Bytes sent; 0 where the link took no more."""
        payload = encode(message)
        return len(payload) if self._send(peer, payload) else 0

    def hold(self, peer: NodeId, message: Message) -> None:
        self._held.append((peer, message))

    def ask(self, peer: NodeId, request: Request) -> None:
        self._requests.setdefault(peer, []).append(request)

    def answer(self, peer: NodeId, answer: Answer) -> None:
        self._answers.setdefault(peer, []).append(answer)

    def release(self) -> list[tuple[NodeId, Request]]:
        """Sends all that was held; returns the requests that no link took."""
        held, self._held = self._held, []
        for peer, message in held:
            self.now(peer, message)
        answers, self._answers = self._answers, {}
        for peer, given in answers.items():
            self.now(peer, Together((), tuple(given)))
        requests, self._requests = self._requests, {}
        return [
            (peer, request)
            for peer, asked in requests.items()
            for batch in _batches(asked)
            if not self.now(peer, Together(batch, ()))
            for request in batch
        ]


def _batches(requests: list[Request]) -> list[tuple[Request, ...]]:
    batches: list[list[Request]] = [[]]
    size = 0
    for request in requests:
        if size > _TOGETHER_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(request)
        size += len(request.body)
    return [tuple(batch) for batch in batches]

"""pysyncobj's state machine of elections and replication, cut off from all it brings along.

It has no clock, thread, disk, socket, pickle or membership of its own here: time stands still for it, and each of its
timers fires when this room says so. Its private attributes are used, therefore one exact version is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, NoReturn

from pysyncobj import syncobj
from pysyncobj.config import SyncObjConf
from pysyncobj.version import VERSION

from hiveminddb.model import NodeId
from hiveminddb.sync.raft.journal import Journal
from hiveminddb.sync.raft.transport import Mailbox, Peer

PINNED = "0.3.17"

# Bytes of entries after which a message is full; the last entry may exceed it.
BATCH_BYTES = 1 << 20

FOLLOWER, CANDIDATE, LEADER = 0, 1, 2

_ALWAYS, _NEVER = -1.0, float("inf")


class _Refusing:
    """Stands in for pickle: whatever would be pickled or unpickled came in by a way that does not exist."""

    @staticmethod
    def loads(data: bytes) -> NoReturn:
        raise RuntimeError(f"pysyncobj asked to unpickle {len(data)} bytes")

    @staticmethod
    def dumps(value: object) -> NoReturn:
        raise RuntimeError(f"pysyncobj asked to pickle {type(value).__name__}")


class _NoPoller:
    @staticmethod
    def poll(timeout: float) -> None:
        return None


def _cut_off() -> None:
    if VERSION != PINNED:
        raise RuntimeError(f"pysyncobj {VERSION} is installed, this room is made for {PINNED} alone")
    syncobj.pickle = _Refusing
    syncobj.monotonicTime = lambda: 0.0
    syncobj.createJournal = lambda journal: journal
    syncobj.createPoller = lambda kind: _NoPoller


_cut_off()


class Engine:
    """One SyncObj: messages in, messages out, log in the journal; nothing happens but in `receive` and `tick`."""

    def __init__(self, me: NodeId, journal: Journal, send: Callable[[NodeId, dict[str, Any]], None]) -> None:
        self._journal = journal
        self._mailbox = Mailbox(send)
        self._nodes: dict[NodeId, Peer] = {}
        never = 1 << 62
        conf = SyncObjConf(
            autoTick=False,
            journalFile=journal,
            fullDumpFile=None,
            useFork=False,
            dynamicMembershipChange=False,
            appendEntriesUseBatch=True,
            appendEntriesBatchSizeBytes=BATCH_BYTES,
            logCompactionMinEntries=never,
            logCompactionMinTime=never,
        )
        self._raft: Any = syncobj.SyncObj(Peer(me), (), conf, transport=self._mailbox)
        self._mailbox._onUtilityMessageCallbacks.clear()
        self._raft._SyncObj__raftElectionDeadline = _NEVER
        self._raft._SyncObj__newAppendEntriesTime = _NEVER
        self._raft._SyncObj__raftLastApplied = journal.base_index
        # Where nobody is reachable pysyncobj would put an election off; whom to ask is settled before.
        self._raft._SyncObj__connectedToAnyone = lambda: True

    @property
    def term(self) -> int:
        return int(self._raft._SyncObj__raftCurrentTerm)

    @property
    def voted_for(self) -> NodeId | None:
        vote: NodeId | None = self._raft._SyncObj__votedForNodeId
        return vote

    @property
    def role(self) -> int:
        return int(self._raft._SyncObj__raftState)

    @property
    def commit(self) -> int:
        return int(self._raft._SyncObj__raftCommitIndex)

    @property
    def match(self) -> dict[Peer, int]:
        """What each peer is known to hold, of the leader's log."""
        held: dict[Peer, int] = self._raft._SyncObj__raftMatchIndex
        return held

    def node(self, peer: NodeId) -> Peer:
        found = self._nodes.get(peer)
        return found if found is not None else self._nodes.setdefault(peer, Peer(peer))

    def match_of(self, peer: NodeId) -> int:
        return int(self.match.get(self.node(peer), 0))

    def next_of(self, peer: NodeId) -> int:
        return int(self._raft._SyncObj__raftNextIndex[self.node(peer)])

    def set_next(self, peer: NodeId, index: int) -> None:
        self._raft._SyncObj__raftNextIndex[self.node(peer)] = index

    def forget_match(self, peer: NodeId) -> None:
        """What the peer held counts again once it says so."""
        self.match[self.node(peer)] = 0

    def set_voters(self, others: Iterable[NodeId], guests: Iterable[NodeId]) -> None:
        """Who counts beside this node, and who only receives."""
        counting, receiving = {self.node(peer) for peer in others}, {self.node(peer) for peer in guests}
        self._raft._SyncObj__otherNodes = counting
        self._raft._SyncObj__readonlyNodes = receiving
        following = self._journal.last_index + 1
        for node in counting | receiving:
            self.match.setdefault(node, 0)
            self._raft._SyncObj__raftNextIndex.setdefault(node, following)
            self._raft._SyncObj__lastResponseTime.setdefault(node, 0.0)
        for node in set(self.match) - counting - receiving:
            del self.match[node], self._raft._SyncObj__raftNextIndex[node]

    def set_reachable(self, peers: Collection[NodeId]) -> None:
        """To whom entries are sent, until the next call or `skip`."""
        self._raft._SyncObj__connectedNodes = {self.node(peer) for peer in peers}

    def skip(self, peer: NodeId) -> None:
        self._raft._SyncObj__connectedNodes.discard(self.node(peer))

    def receive(self, peer: NodeId, message: dict[str, Any]) -> None:
        """A message that has passed the guard."""
        self._mailbox.hand_over(self.node(peer), message)

    def tick(self, send: bool) -> None:
        """Counts what is committed; `send` sends every reachable peer what it lacks, or an empty message."""
        self._raft._SyncObj__newAppendEntriesTime = _ALWAYS if send else _NEVER
        self._raft.doTick(0.0)

    def campaign(self) -> None:
        """A new term, a vote for oneself, and votes asked for. A sole voter leads at once."""
        self._raft._SyncObj__raftElectionDeadline = _ALWAYS
        self._raft.doTick(0.0)
        self._raft._SyncObj__raftElectionDeadline = _NEVER

    def follow(self, term: int) -> None:
        """No longer leader or candidate; a higher term is taken over without a vote."""
        if term > self.term:
            self._raft._SyncObj__setCurrentTerm(term, None)
        self._raft._SyncObj__setState(FOLLOWER)
        self._raft._SyncObj__raftLeader = None

    def rebased(self) -> None:
        """The journal begins anew at a snapshot, or at a later entry."""
        base = self._journal.base_index
        self._raft._SyncObj__raftCommitIndex = max(self.commit, base)
        self._raft._SyncObj__raftLastApplied = max(self._raft._SyncObj__raftLastApplied, base)

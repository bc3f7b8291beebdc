"""What the daemon answers about its swarm: nodes, invites and joins, and what consensus has decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hiveminddb.model import NodeId

SwarmState = Literal["alone", "together", "no_quorum"]
Role = Literal["leader", "follower", "candidate", "learner"]
MemberRole = Literal["voter", "learner"]
InviteState = Literal["open", "joining", "joined", "ended"]


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """One node of the swarm as another sees it.

    `lag` counts the changes known here that the node is not known to have, `ahead` those it has and this one lacks:
    None until it has told what it has. `address` and `last_seen` are None where there has been no link since the start.
    Who `refuses` is there, and does not let this node in any more. Who is `doubled` runs on two machines at once, as
    after copying a data folder.
    """

    id: NodeId
    name: str
    role: MemberRole
    online: bool
    address: str | None = None
    last_seen: datetime | None = None
    lag: int | None = 0
    ahead: int | None = 0
    refuses: bool = False
    doubled: bool = False


@dataclass(frozen=True, slots=True)
class SwarmStatus:
    """The swarm as this node sees it; `pending` counts its own changes that have no place in the order yet.

    `swarm` is the id of the swarm, `epoch` that of its consensus: recovering the swarm begins another. Positions and
    fencing tokens can be compared where both are the same. A `barred` node has been brought back from an older copy, or
    has lost its log: it does not know what it voted, and does not vote until the others have let it go.
    """

    state: SwarmState
    seq: int | None = None
    node: NodeId = NodeId("")
    name: str = ""
    role: Role = "leader"
    leader: NodeId | None = None
    term: int = 0
    quorum: bool = True
    pending: int = 0
    nodes: tuple[SwarmNode, ...] = ()
    swarm: str = ""
    epoch: str = ""
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Invite:
    """A code that lets one machine join, until it expires, is used, or its tries are spent.

    `node` and `name` tell who is joining or has joined, `reason` why an invite ended without anyone.
    """

    code: str
    expires_at: datetime
    state: InviteState = "open"
    tries_left: int = 3
    node: NodeId | None = None
    name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Introduction:
    """The machine behind a code: whom one is about to join, and how many memories would come and go."""

    node: NodeId
    name: str
    nodes: int
    memories_there: int
    memories_here: int


@dataclass(frozen=True, slots=True)
class Joined:
    """A join that is done: the membership is durable, the memories flow from now on."""

    node: NodeId
    name: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A key held by one holder alone; of two tokens the greater is the later, and none is ever given twice."""

    key: str
    holder: str
    token: int
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Register:
    """A value that changes only by compare-and-set; its version counts its changes from 1."""

    key: str
    value: str
    version: int

"""Which members vote: at most five, changed one at a time by the leader. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hiveminddb.model import NodeId
from hiveminddb.store.directory import NodeRow

# More would make every decision slower and hardly safer.
MOST_VOTERS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """The next change of the voters: one more, or one less."""

    node: NodeId
    adds: bool


def next_step(
    me: NodeId,
    members: Sequence[NodeRow],
    voters: Collection[NodeId],
    ready: Collection[NodeId],
    absent: Collection[NodeId] = (),
) -> Step | None:
    """What the leader changes next, None where all is as it should be.

    Who is no member, or shall not vote, goes first; then members that are linked and up to date (`ready`) come in, by
    id, in the place of one long `absent` where there are five. The leader itself goes last of those that go: somebody
    has to be left to decide it.
    """
    eligible = {member.id for member in members if member.role == "voter"}
    for node in sorted(voters, key=lambda node: (node == me, node)):
        if node not in eligible and len(voters) > 1:
            return Step(node, adds=False)
    candidates = sorted(eligible.difference(voters).intersection(ready))
    if not candidates:
        return None
    if len(voters) < MOST_VOTERS:
        return Step(candidates[0], adds=True)
    gone = sorted(node for node in voters if node in absent and node != me)
    return Step(gone[0], adds=False) if gone else None

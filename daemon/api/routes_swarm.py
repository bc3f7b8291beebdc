"""Routes of membership: who belongs to the swarm, who is let in, and how one leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hiveminddb.daemon.api.http import Answer, Call, Route, encoded
from hiveminddb.daemon.api.requests import Nothing
from hiveminddb.daemon.api.swarm_requests import JoinCode, NewName
from hiveminddb.daemon.usecases import UseCases
from hiveminddb.swarm import Introduction, Invite, Joined, SwarmStatus


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing is left to wait for."""

    ended: Literal[True] = True


async def status(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.status())


async def invite(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.invite(), 201)


async def invited(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.invited())


async def end_invite(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    await cases.swarm.end_invite()
    return encoded(Ended())


async def look(cases: UseCases, call: Call[JoinCode, Nothing]) -> Answer:
    return encoded(await cases.swarm.look(call.body.code))


async def join(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.join(True))


async def hang_up(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    await cases.swarm.join(False)
    return encoded(Ended())


async def leave(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.leave())


async def recover(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.recover())


async def rename(cases: UseCases, call: Call[NewName, Nothing]) -> Answer:
    return encoded(await cases.swarm.rename(call.body.name))


async def remove(cases: UseCases, call: Call[Nothing, Nothing]) -> Answer:
    return encoded(await cases.swarm.remove(call.path["node"]))


_SWARM = "/api/v1/swarm"
_INVITE = _SWARM + "/invite"


def _does(path: str, handler: Any, summary: str) -> Route[Any, Any]:
    return Route("POST", _SWARM + path, handler, summary, Nothing, Nothing, SwarmStatus, body_optional=True)


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", _SWARM, status, "The swarm as this node sees it", Nothing, Nothing, SwarmStatus),
    Route("POST", _INVITE, invite, "A new code to join with", Nothing, Nothing, Invite, 201, body_optional=True),
    Route("GET", _INVITE, invited, "How the latest invite stands", Nothing, Nothing, Invite),
    Route("DELETE", _INVITE, end_invite, "End an invite", Nothing, Nothing, Ended, body_optional=True),
    Route("POST", _SWARM + "/join", look, "Find the machine behind a code", JoinCode, Nothing, Introduction),
    Route("DELETE", _SWARM + "/join", hang_up, "Do not join it", Nothing, Nothing, Ended, body_optional=True),
    Route("POST", _SWARM + "/join/confirm", join, "Join it", Nothing, Nothing, Joined, body_optional=True),
    _does("/leave", leave, "Become a swarm of one"),
    _does("/recover", recover, "Form consensus anew where a majority is gone for good"),
    Route("POST", _SWARM + "/rename", rename, "Rename this node", NewName, Nothing, SwarmStatus),
    Route(
        "DELETE",
        _SWARM + "/nodes/{node:path}",
        remove,
        "Remove a node",
        Nothing,
        Nothing,
        SwarmStatus,
        body_optional=True,
    ),
)

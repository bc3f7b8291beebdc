"""The client's calls about the swarm, without I/O: who belongs to it, and what it decides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hiveminddb._calls import Consistency
from hiveminddb._message import Call, Request, as_each, as_one, ask, later, only_given, quoted, send, with_query

if TYPE_CHECKING:
    from hiveminddb.swarm import Introduction, Invite, Joined, Lease, Register, SwarmStatus

_swarm = partial(later, "_parse_swarm")


def swarm() -> Call[SwarmStatus]:
    """The swarm as this daemon sees it: its nodes, who leads, what waits."""
    return Call(ask("/swarm"), as_one(_swarm("swarm")))


def invite() -> Call[Invite]:
    """A code with which one machine can join within ten minutes; it takes the place of one that is open."""
    return Call(send("POST", "/swarm/invite"), as_one(_swarm("invite")))


def invited() -> Call[Invite]:
    """How the latest invite stands; NotFound where there has been none."""
    return Call(ask("/swarm/invite"), as_one(_swarm("invite")))


def end_invite() -> Call[None]:
    """Ends an open invite."""
    return _done(send("DELETE", "/swarm/invite"))


def look(code: str) -> Call[Introduction]:
    """Finds the machine behind a code and proves the code; `join` or `hang_up` within a minute.

    Raises NotFound where nobody answers to it, Forbidden for a wrong code, Conflict in a swarm of several.
    """
    return Call(send("POST", "/swarm/join", {"code": code}), as_one(_swarm("introduction")))


def join() -> Call[Joined]:
    """Joins whom `look` has found; the memories of both flow together from then on."""
    return Call(send("POST", "/swarm/join/confirm"), as_one(_swarm("joined")))


def hang_up() -> Call[None]:
    """Does not join whom `look` has found."""
    return _done(send("DELETE", "/swarm/join"))


def leave() -> Call[SwarmStatus]:
    """Makes this node a swarm of one; it keeps all memories it has."""
    return Call(send("POST", "/swarm/leave"), as_one(_swarm("swarm")))


def recover() -> Call[SwarmStatus]:
    """Forms consensus anew from this node, where a majority is gone for good; raises Conflict while there is quorum."""
    return Call(send("POST", "/swarm/recover"), as_one(_swarm("swarm")))


def rename(name: str) -> Call[SwarmStatus]:
    """Gives this node another name; raises Conflict where another node has it."""
    return Call(send("POST", "/swarm/rename", {"name": name}), as_one(_swarm("swarm")))


def remove_node(node: str) -> Call[SwarmStatus]:
    """Removes a node, named by its name or id: it is refused from now on, its memories stay."""
    return Call(send("DELETE", "/swarm/nodes/" + quoted(node, "")), as_one(_swarm("swarm")))


def leases(*, consistency: Consistency | None = None) -> Call[list[Lease]]:
    """Every lease, by key."""
    return Call(ask("/leases", consistency=consistency), as_each(_swarm("lease")))


def lease(key: str, holder: str, *, ttl_s: float | None = None) -> Call[Lease]:
    """Takes a key for one holder alone, for so many seconds; raises Conflict while anyone holds it.

    Give its token to what the key protects: that refuses whoever comes with a smaller one than it has seen.
    """
    body = only_given({"key": key, "holder": holder, "ttl_s": ttl_s})
    return Call(send("POST", "/leases", body), as_one(_swarm("lease")))


def renew(key: str, token: int) -> Call[Lease]:
    """Lets a lease last its whole time again; raises Conflict where it has ended."""
    return Call(send("POST", _lease_path(key) + "/renew", {"token": token}), as_one(_swarm("lease")))


def release(key: str, token: int) -> Call[None]:
    """Gives a key free; raises Conflict where the lease has ended."""
    return _done(send("DELETE", with_query(_lease_path(key), token=token)))


def held(key: str, *, consistency: Consistency | None = None) -> Call[Lease]:
    """Who holds a key; raises NotFound where nobody does."""
    return Call(ask(_lease_path(key), consistency=consistency), as_one(_swarm("lease")))


def register(key: str, *, consistency: Consistency | None = None) -> Call[Register]:
    """A register's value and version; raises NotFound where it was never set."""
    return Call(ask(_register_path(key), consistency=consistency), as_one(_swarm("register")))


def set_register(key: str, value: str, *, version: int | None = None, expected: str | None = None) -> Call[Register]:
    """Sets a register if it has that version (0: none yet) or that value; raises Conflict where it has not."""
    body = {"value": value, **only_given({"version": version, "expected": expected})}
    return Call(send("PUT", _register_path(key), body), as_one(_swarm("register")))


def _done(request: Request) -> Call[None]:
    return Call(request, lambda response: None)


def _lease_path(key: str) -> str:
    return "/leases/" + quoted(key, "/")


def _register_path(key: str) -> str:
    return "/registers/" + quoted(key, "/")

"""How a guest and a host prove one password to each other before anything else is said. Pure: bytes in, bytes out.

    guest                                   host
    Hello(protocol, door, share)  ------>                      door: an invite's number, or 0 for the swarm key
                                  <------   Share              or Refused
    Proof                         ------>                      a wrong one is counted
                                  <------   Proof              or Wrong

The guest proves first: who guesses learns one bit a try, and only while the host counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

import msgspec

from hiveminddb.errors import Conflict, Forbidden, HiveMindError, InvalidFrame, NotFound, Unavailable
from hiveminddb.model import NodeId
from hiveminddb.sync import pake
from hiveminddb.sync.identity import fingerprint
from hiveminddb.sync.pake import Exchange, Keys, Sealed

PROTOCOL = 1
# The door that the swarm key opens; invites have numbers from 1.
KEY_DOOR = 0

Why = Literal["closed", "busy", "protocol"]
_Share = Annotated[bytes, msgspec.Meta(min_length=pake.SHARE_BYTES, max_length=pake.SHARE_BYTES)]
_Proof = Annotated[bytes, msgspec.Meta(min_length=pake.PROOF_BYTES, max_length=pake.PROOF_BYTES)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What is said on a pairing stream."""


class Hello(Message, frozen=True, array_like=True, tag="hello"):
    protocol: _Number
    door: _Number
    share: _Share


class Share(Message, frozen=True, array_like=True, tag="share"):
    share: _Share


class Proof(Message, frozen=True, array_like=True, tag="proof"):
    proof: _Proof


class Wrong(Message, frozen=True, array_like=True, tag="wrong"):
    """The proof shows another password, or keys of somebody between."""


class Refused(Message, frozen=True, array_like=True, tag="refused"):
    """Nobody opens; no free text, because nobody has proved anything."""

    why: Why


class Door(Protocol):
    """A password, and who watches over the tries: an invite or the swarm key."""

    def password(self) -> bytes | None:
        """None while nobody may come in."""
        ...

    def judge(self, guest: NodeId, right: bool) -> bool:
        """Whether the guest may come in; counts what is wrong."""
        ...


def decode(frame: bytes, kind: Any) -> Any:
    """A message of this type, or of one of a union; raises InvalidFrame for everything else."""
    try:
        return msgspec.msgpack.decode(frame, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFrame(
            f"pairing message unlike {kind}: {error}", "the other side speaks another protocol"
        ) from error


encode = msgspec.msgpack.Encoder().encode


class Guest:
    """One try to come in: write `hello`, then `prove` answers what was heard, then `settle` ends it."""

    __slots__ = ("hello", "_door", "_exchange", "_keys")

    def __init__(self, door: int, password: bytes, mine: bytes, theirs: bytes) -> None:
        """`mine` and `theirs` are the raw public keys that were shown in the TLS handshake."""
        self._door = door
        self._exchange = Exchange("guest", password, mine, theirs)
        self._keys: Keys | None = None
        self.hello: bytes = encode(Hello(PROTOCOL, door, self._exchange.share))

    def prove(self, heard: bytes) -> bytes:
        """Raises NotFound, Unavailable or Conflict where nobody opens, InvalidFrame."""
        message: Share | Refused = decode(heard, Share | Refused)
        if isinstance(message, Refused):
            raise _refusal(message.why)
        self._keys = pake.derive(self._exchange.secret(message.share), self.hello, heard)
        return encode(Proof(pake.proof(self._keys, "guest")))

    def settle(self, heard: bytes) -> Sealed:
        """Raises Forbidden where the other side does not know the password, InvalidFrame."""
        assert self._keys is not None
        message: Proof | Wrong = decode(heard, Proof | Wrong)
        if isinstance(message, Wrong) or not pake.proves(self._keys, "host", message.proof):
            raise _wrong(self._door)
        return Sealed(self._keys, "guest")


class Host:
    """One guest's try: write what `answer` and `settle` return, and `go_on` after each, which raises what ends it."""

    __slots__ = ("guest", "sealed", "_door", "_doors", "_ended", "_keys", "_mine", "_theirs")

    def __init__(self, doors: Callable[[int], Door | Why], mine: bytes, theirs: bytes) -> None:
        """`doors` gives the door of a number, or says why there is none."""
        self.guest = fingerprint(theirs)
        self.sealed: Sealed | None = None
        self._doors = doors
        self._door: Door | None = None
        self._ended: HiveMindError | None = None
        self._keys: Keys | None = None
        self._mine, self._theirs = mine, theirs

    def answer(self, heard: bytes) -> bytes:
        """Raises InvalidFrame."""
        hello: Hello = decode(heard, Hello)
        door = self._doors(hello.door) if hello.protocol == PROTOCOL else "protocol"
        if isinstance(door, str):
            return self._refuse(door)
        password = door.password()
        if password is None:
            return self._refuse("closed")
        exchange = Exchange("host", password, self._theirs, self._mine)
        share: bytes = encode(Share(exchange.share))
        self._keys = pake.derive(exchange.secret(hello.share), heard, share)
        self._door = door
        return share

    def settle(self, heard: bytes) -> bytes:
        """Raises InvalidFrame."""
        assert self._door is not None and self._keys is not None
        message: Proof = decode(heard, Proof)
        if not self._door.judge(self.guest, pake.proves(self._keys, "guest", message.proof)):
            self._ended = Forbidden(
                f"node {self.guest} was not let in: wrong code or key", "was it one of your machines?"
            )
            return encode(Wrong())
        self.sealed = Sealed(self._keys, "host")
        return encode(Proof(pake.proof(self._keys, "host")))

    def go_on(self) -> None:
        """Raises Forbidden after a wrong proof, Conflict where there is no such door."""
        if self._ended:
            raise self._ended

    def _refuse(self, why: Why) -> bytes:
        self._ended = Conflict(f"node {self.guest} asked to come in: {why}", "")
        return encode(Refused(why))


def _wrong(door: int) -> Forbidden:
    if door == KEY_DOOR:
        return Forbidden(
            "the other side has another swarm key", "HIVEMIND_SWARM_KEY has to be the same on all machines"
        )
    return Forbidden("wrong code: the other side does not know it", "look again; three wrong tries end an invite")


def _refusal(why: Why) -> HiveMindError:
    if why == "busy":
        return Unavailable("the other side is joining a swarm itself", "try again in a moment")
    if why == "protocol":
        return Conflict(
            f"the other side does not pair by protocol {PROTOCOL}", "install the same version on both machines"
        )
    return NotFound("no invite is open on the other side", "make a new one with `hmd invite` there")

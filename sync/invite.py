"""Invites: a short code, told to whoever sits at the other machine, that lets that one machine in. Clock passed in.

A code is a number and three words, `7-walnut-anchor-ribbon`: the number finds the invite, the words are the secret.
Three of 360 words are 25 bits. They cannot be tried against anything but the inviter, who counts to three: whoever
guesses gets in once in 15 million invites.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hiveminddb.errors import InvalidInput
from hiveminddb.model import NodeId
from hiveminddb.sync.words import WORDS

TRIES = 3
LIFETIME_S = 600.0
SECRET_WORDS = 3

# Two swarms that invite on one network at the same time meet on a number this rarely.
_NAMEPLATES = 99
_TAG_CHARACTERS = 8
_SHORTEST_PREFIX = 3
_FORM = "a number and three words, such as 7-walnut-anchor-ribbon"

State = Literal["open", "joining", "joined", "ended"]


@dataclass(frozen=True, slots=True)
class Code:
    """What one person reads out to another; the string form is the only one that is compared."""

    nameplate: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return "-".join((str(self.nameplate), *self.words))

    def password(self) -> bytes:
        """What both sides prove to know."""
        return b"invite " + str(self).encode()


def draw() -> Code:
    """A new code, from the system's randomness."""
    return Code(1 + secrets.randbelow(_NAMEPLATES), tuple(secrets.choice(WORDS) for _ in range(SECRET_WORDS)))


def parse(text: str) -> Code:
    """The code a person typed: case, spaces and the rest of a word after its first letters do not matter.

    Raises InvalidInput, naming the word that is none of the list.
    """
    number, *words = re.findall(r"\w+", text.lower()) or [""]
    if not number.isascii() or not number.isdecimal() or len(words) != SECRET_WORDS or len(number) > 4:
        raise InvalidInput(f"not an invite code: {text[:80]!r}", f"a code is {_FORM}")
    return Code(int(number), tuple(map(_word, words)))


def tag(nameplate: int, node: NodeId) -> str:
    """What a node announces while its invite is open: found by who knows the number, silent about the words."""
    return hashlib.sha256(f"invite {nameplate} {node}".encode()).hexdigest()[:_TAG_CHARACTERS]


class Invite:
    """One code's life: ten minutes, three tries, one machine. `clock` counts seconds, also those asleep."""

    __slots__ = ("code", "expires", "guest", "reason", "tries_left", "_clock", "_used")

    def __init__(self, clock: Callable[[], float], code: Code | None = None) -> None:
        self.code = code or draw()
        self.expires = clock() + LIFETIME_S
        self.tries_left = TRIES
        self.guest: NodeId | None = None
        self.reason = ""
        self._clock = clock
        self._used = False

    @property
    def state(self) -> State:
        """Whether a machine may still come, is coming, or has come."""
        if self._used:
            return "joined"
        if self.reason or self._expired():
            return "ended"
        return "joining" if self.guest else "open"

    def password(self) -> bytes | None:
        """What a guest has to prove to know; None once nobody can come in any more."""
        return self.code.password() if self.state in ("open", "joining") else None

    def judge(self, guest: NodeId, right: bool) -> bool:
        """Whether this guest may come in. A wrong proof costs a try; the first right one keeps the rest out."""
        if self.password() is None or self.guest not in (None, guest):
            return False
        if right:
            self.guest = guest
        else:
            self._wrong()
        return right

    def done(self) -> None:
        """The guest is a member now: the code is used up."""
        self._used = True

    def end(self, reason: str) -> None:
        """The code is worth nothing from now on; harmless where it has been used."""
        self.reason = self.reason or reason

    def _wrong(self) -> None:
        self.tries_left -= 1
        if not self.tries_left:
            self.end(f"{TRIES} wrong tries")

    def _expired(self) -> bool:
        if self._clock() >= self.expires:
            self.end("ten minutes have passed")
        return bool(self.reason)


def _word(typed: str) -> str:
    if typed in WORDS:
        return typed
    fitting = [word for word in WORDS if word.startswith(typed)] if len(typed) >= _SHORTEST_PREFIX else []
    if len(fitting) != 1:
        raise InvalidInput(f"not a word of invite codes: {typed[:40]!r}", f"a code is {_FORM}")
    return fitting[0]

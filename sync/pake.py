"""Proving to know one password without telling it: SPAKE2, proofs both ways, sealing with what follows. Pure.

The protocol is that of `spake2` on Ed25519 (https://datatracker.ietf.org/doc/rfc9382/ describes its family), with both
sides' TLS public keys as the identities: whoever stands between, with other keys, ends with another secret, having
had one guess. The keys derived are bound to both first messages whole.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from hiveminddb.errors import InvalidFrame

Role = Literal["guest", "host"]

# A byte for the side, an element of the group.
SHARE_BYTES = 33
PROOF_BYTES = 32

_KEY_BYTES = 32
_NONCE_BYTES = 12
_CONTEXT = b"hivemind pairing 1"


class Keys(NamedTuple):
    """What follows from the secret: one key for each side's proof and one for what each side seals."""

    guest_proof: bytes
    host_proof: bytes
    guest_seal: bytes
    host_seal: bytes


class Exchange:
    """One side of one exchange; `share` is its message. A password or a share is never used twice."""

    __slots__ = ("role", "share", "_spake")

    def __init__(self, role: Role, password: bytes, guest: bytes, host: bytes) -> None:
        """`guest` and `host` are the raw public keys that the sides have shown."""
        self.role = role
        side = SPAKE2_A if role == "guest" else SPAKE2_B
        self._spake = side(password, idA=guest, idB=host)
        self.share: bytes = self._spake.start()

    def secret(self, share: bytes) -> bytes:
        """The same 32 bytes on both sides, if all is as it should be. Raises InvalidFrame at what is no share."""
        if len(share) != SHARE_BYTES:
            raise InvalidFrame(f"share of {len(share)} bytes", f"{SHARE_BYTES} were expected")
        try:
            secret: bytes = self._spake.finish(share)
        except (SPAKEError, NotOnCurve, ValueError) as error:
            raise InvalidFrame(f"share that is none: {error}", "the other side does not speak this protocol") from error
        return secret


def derive(secret: bytes, *messages: bytes) -> Keys:
    """The keys that follow from a secret and from all that was said before it."""
    info = _CONTEXT + b"".join(hashlib.sha256(message).digest() for message in messages)
    length = _KEY_BYTES * len(Keys._fields)
    block = HKDF(SHA256(), length=length, salt=None, info=info).derive(secret)
    return Keys(*(block[start : start + _KEY_BYTES] for start in range(0, length, _KEY_BYTES)))


def proof(keys: Keys, role: Role) -> bytes:
    """Shows that `role` has come to these keys, and nothing else."""
    key = keys.guest_proof if role == "guest" else keys.host_proof
    return hmac.digest(key, role.encode(), "sha256")


def proves(keys: Keys, role: Role, shown: bytes) -> bool:
    """Whether that is the proof of `role`; takes equally long either way."""
    return hmac.compare_digest(proof(keys, role), shown)


class Sealed:
    """What is said once both have proved themselves: each message opens once, in its place, on the other side."""

    __slots__ = ("_from_me", "_from_them", "_opened", "_sealed")

    def __init__(self, keys: Keys, role: Role) -> None:
        mine, theirs = keys.guest_seal, keys.host_seal
        if role == "host":
            mine, theirs = theirs, mine
        self._from_me = ChaCha20Poly1305(mine)
        self._from_them = ChaCha20Poly1305(theirs)
        self._sealed = self._opened = 0

    def seal(self, plain: bytes) -> bytes:
        number = self._sealed
        self._sealed += 1
        return self._from_me.encrypt(_nonce(number), plain, None)

    def open(self, sealed: bytes) -> bytes:
        """Raises InvalidFrame at what was altered, repeated, left out, or made by somebody else."""
        try:
            plain = self._from_them.decrypt(_nonce(self._opened), sealed, None)
        except InvalidTag as error:
            raise InvalidFrame(
                f"sealed message {self._opened} does not open", "it was altered, or comes twice"
            ) from error
        self._opened += 1
        return plain


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")

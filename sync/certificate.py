"""TLS 1.3 in which both sides prove an Ed25519 key, as raw public keys do (RFC 7250), with what the ssl module has.

OpenSSL asks a dialler for a certificate only where it can check who issued it. So every node's certificate has the same
issuer, whose private key is no secret: the chain always holds and says nothing. What counts is the key in the
certificate, whose possession TLS has proven: whoever uses these contexts must compare it (`proven_key`).
"""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

MEMBER_PROTOCOL = "hmd/1"
PAIRING_PROTOCOL = "hmd-pair/1"

_ANYBODY = Ed25519PrivateKey.from_private_bytes(bytes(32))
_ISSUER = "hivemind: proves nothing"

# Clocks of laptops are wrong at times, and a key is good until it is removed from the swarm.
_ALWAYS = (datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59))


@dataclass(frozen=True, slots=True)
class Contexts:
    """One node's TLS: to accept everybody, to dial members, to dial those it is not paired with yet."""

    accept: ssl.SSLContext
    dial: ssl.SSLContext
    pair: ssl.SSLContext


def contexts(key: Ed25519PrivateKey) -> Contexts:
    """The contexts of the node with this key; the peer's key is proven by the handshake, and compared after."""
    return Contexts(
        accept=_context(ssl.PROTOCOL_TLS_SERVER, key, MEMBER_PROTOCOL, PAIRING_PROTOCOL),
        dial=_context(ssl.PROTOCOL_TLS_CLIENT, key, MEMBER_PROTOCOL),
        pair=_context(ssl.PROTOCOL_TLS_CLIENT, key, PAIRING_PROTOCOL),
    )


def proven_key(tls: ssl.SSLObject) -> bytes | None:
    """The raw Ed25519 key the other side has proven to have; None where its certificate is for another kind of key."""
    certificate = tls.getpeercert(binary_form=True)
    if certificate is None:
        return None
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        return None
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None


def _context(side: int, key: Ed25519PrivateKey, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=_certificate(_ISSUER, _ANYBODY.public_key()).public_bytes(Encoding.DER))
    context.set_alpn_protocols(list(protocols))
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    _load(context, key)
    return context


def _certificate(subject: str, public: Ed25519PublicKey) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(_ISSUER))
    builder = builder.public_key(public).serial_number(1).not_valid_before(_ALWAYS[0]).not_valid_after(_ALWAYS[1])
    authority = x509.BasicConstraints(ca=subject == _ISSUER, path_length=None)
    return builder.add_extension(authority, critical=True).sign(_ANYBODY, None)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _load(context: ssl.SSLContext, key: Ed25519PrivateKey) -> None:
    # The ssl module takes a key from a file only; in this one it is encrypted for the moment the file exists.
    password = secrets.token_bytes(32).hex().encode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    descriptor, path = tempfile.mkstemp(prefix="hivemind-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(private + _certificate("node", key.public_key()).public_bytes(Encoding.PEM))
        context.load_cert_chain(path, password=password)
    finally:
        Path(path).unlink()

"""Signing: tokens and proofs as JWS in compact form (RFC 7515), P-256 keys and their thumbprints; ES256, nothing else.

A JWS here has exactly three header members: ``typ``, ``alg``, ``kid``. This module is separate from ``tokens``, which
verifies with joserfc for integrators. A daemon signs and verifies with this one, loads none of joserfc, and signs in
half the time.
"""

import hashlib
import json
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from vitale_protocol.claims import Claims
from vitale_protocol.documents import decode_strict
from vitale_protocol.errors import LimitExceeded, LocalMisuse, ParseError

__all__ = [
    "ALGORITHM",
    "TOKEN_CHARACTERS",
    "TYPE",
    "PublicJwk",
    "base64url",
    "from_base64url",
    "public_jwk",
    "sign",
    "sign_jws",
    "verify_jws",
]

ALGORITHM: Final = "ES256"
TYPE: Final = "vitale-presence+jwt"
# The record of a card with 19 beneficiaries and all their rights stays under 32 KiB; joserfc itself stops at 128 000.
TOKEN_CHARACTERS: Final = 100_000

# RFC 7518, section 3.4: both numbers of a signature, big-endian, in so many bytes each.
_NUMBER: Final = 32

_digest = ec.ECDSA(hashes.SHA256())
_encode = msgspec.json.Encoder().encode


_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def base64url(data: bytes) -> str:
    """The data in base64url without padding (RFC 7515, section 2)."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The data behind a text that ``base64url`` can write: no padding, no white space, no idle bits.

    Raises:
        ParseError: no data has this text.
    """
    try:
        data = a2b_base64((text + "=" * (-len(text) % 4)).encode("ascii").translate(_FROM_URL))
    except ValueError:
        data = b""
    # Python's decoder passes over what it does not know; each text but one of the same data ends here.
    if base64url(data) != text:
        raise ParseError("not base64url")
    return data


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

Coordinate = Annotated[str, msgspec.Meta(min_length=43, max_length=43, pattern=r"^[A-Za-z0-9_-]{43}(?![\s\S])")]


class PublicJwk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public P-256 key (RFC 7518, section 6.2.1) with these four members and no other."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint, SHA-256 in base64url."""
        # RFC 7638, section 3.2: these members, in this order, without white space.
        canonical = json.dumps({"crv": self.crv, "kty": self.kty, "x": self.x, "y": self.y}, separators=(",", ":"))
        return base64url(hashlib.sha256(canonical.encode()).digest())

    @property
    def key(self) -> ec.EllipticCurvePublicKey:
        """The key itself.

        Raises:
            ParseError: no point of the curve.
        """
        x, y = (int.from_bytes(from_base64url(number), "big") for number in (self.x, self.y))
        try:
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        except ValueError as error:
            raise ParseError("no point of the curve P-256") from error


def public_jwk(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> PublicJwk:
    """The public half of a key.

    Raises:
        LocalMisuse: not a P-256 key.
    """
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    if not isinstance(public.curve, ec.SECP256R1):
        raise LocalMisuse("the key is not a P-256 key")
    numbers = public.public_numbers()
    x, y = (base64url(number.to_bytes(_NUMBER, "big")) for number in (numbers.x, numbers.y))
    return PublicJwk(kty="EC", crv="P-256", x=x, y=y)


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────────────────


def sign(claims: Claims, key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    """The token of these claims.

    Args:
        claims: what the token says.
        key: the station's private key, P-256.
        kid: the name of the key in the station's JWK Set.

    Raises:
        LimitExceeded: the token would be longer than a verifier accepts.
        LocalMisuse: the key is not a P-256 key.
    """
    token = sign_jws(_encode(claims), key, typ=TYPE, kid=kid)
    if len(token) > TOKEN_CHARACTERS:
        raise LimitExceeded("the token is too long", data={"limit": "token_characters"})
    return token


def sign_jws(payload: bytes, key: ec.EllipticCurvePrivateKey, *, typ: str, kid: str) -> str:
    """The JWS of a payload.

    Raises:
        LocalMisuse: the key is not a P-256 key.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise LocalMisuse("the key is not a private P-256 key")
    signed = f"{_header(typ, kid)}.{base64url(payload)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), _digest))
    return f"{signed}.{base64url(r.to_bytes(_NUMBER, 'big') + s.to_bytes(_NUMBER, 'big'))}"


def verify_jws(jws: str, key: ec.EllipticCurvePublicKey, *, typ: str, kid: str) -> bytes:
    """The payload of a JWS that was signed with this key, as this type, under this name.

    Raises:
        ParseError: it was not; which of all is for the log, and for nobody else.
    """
    parts = jws.split(".")
    if len(parts) != 3:
        raise ParseError("not a compact JWS")
    if decode_strict(from_base64url(parts[0])) != {"typ": typ, "alg": ALGORITHM, "kid": kid}:
        raise ParseError("the header has other members, or other values")
    payload, signature = from_base64url(parts[1]), from_base64url(parts[2])
    if len(signature) != 2 * _NUMBER:
        raise ParseError("the signature has not two numbers")
    r, s = (int.from_bytes(number, "big") for number in (signature[:_NUMBER], signature[_NUMBER:]))
    try:
        key.verify(encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode(), _digest)
    except InvalidSignature as error:
        raise ParseError("the signature does not fit") from error
    return payload


# The token's and the proof's header of one key each, and those of a key that is rotated.
@lru_cache(maxsize=8)
def _header(typ: str, kid: str) -> str:
    return base64url(json.dumps({"typ": typ, "alg": ALGORITHM, "kid": kid}, separators=(",", ":")).encode())

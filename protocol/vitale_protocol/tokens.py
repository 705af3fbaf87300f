"""The token: claims, signing and verification of one presentation, ES256 and nothing else.

(Interface; the bodies follow.)
"""

from typing import Any

import msgspec

from vitale_protocol.records import Medium, Origin, Proof, Record

__all__ = ["ALGORITHM", "TYPE", "Claims", "Evidence", "ReaderClaim"]

ALGORITHM = "ES256"
TYPE = "vitale-presence+jwt"


class ReaderClaim(msgspec.Struct, frozen=True, kw_only=True):
    """The reader that the medium was presented to."""

    id: str
    driver: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """HMAC-SHA-256 in hex of the raw evidence, keyed by the station so that it does not reveal a NIR by search."""

    sha256: str


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of WIRE, version 1. ``presented_at`` is seconds with a fraction; the other times are whole seconds."""

    ver: int
    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    nonce: str
    presented_at: float
    medium: Medium
    proof: Proof
    origin: Origin
    reader: ReaderClaim
    scopes: tuple[str, ...]
    record: Record
    evidence: Evidence
    purpose: tuple[str, ...] | None = None
    context: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()

"""Types of a token's claims and of the memory of tokens, without cryptography, for programs that verify none."""

from typing import Protocol

import msgspec

from vitale_protocol.privacy import concealed
from vitale_protocol.records import Medium, Origin, Proof, Record

__all__ = ["Claims", "ContextClaim", "Evidence", "ReaderClaim", "Seen"]


class ReaderClaim(msgspec.Struct, frozen=True, kw_only=True):
    """The reader that the medium was presented to."""

    id: str
    driver: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """HMAC-SHA-256 in hex of the raw evidence, with a key of the station.

    The key keeps a NIR from being found by search.
    """

    sha256: str


class ContextClaim(msgspec.Struct, frozen=True, kw_only=True):
    """An apCV context, as the service gave it; ``date_fin_validite`` is RFC 3339 in UTC, to the second."""

    __repr__ = concealed

    identifiant: str
    token: str
    date_fin_validite: str


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of a token, version 1. ``presented_at`` is seconds with a fraction; the other times are whole seconds.

    ``site`` is the web origin of the page that the token is for; other clients' tokens have none.

    ``delegate`` is who presented the application for the patient. ``rights_at`` is when the service knew the rights to
    be as told (RFC 3339), where it says so. ``payload`` is the string that was transported. Where that is not printable
    text, ``payload_b64`` has it in base64 instead.
    """

    __repr__ = concealed

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
    site: str | None = None
    context: ContextClaim | None = None
    delegate: str | None = None
    rights_at: str | None = None
    payload: str | None = None
    payload_b64: str | None = None
    warnings: tuple[str, ...] = ()


class Seen(Protocol):
    """The memory of tokens that were used."""

    def use(self, jti: str, expires_at: float) -> None:
        """Marks a token as used; it may be forgotten after ``expires_at``, seconds since the epoch.

        Raises:
            TokenInvalid: it was used before; ``data.check`` is ``replayed``.
        """
        ...

"""Rotation of a page's key: the old key and the new one both sign the replacement."""

from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import NotAuthenticated, ParseError
from vitale_protocol.signing import PublicJwk, public_jwk, sign_jws, verify_jws

__all__ = ["ROTATION_TYPE", "Rotation", "check_rotation", "sign_rotation"]

ROTATION_TYPE: Final = "vr-rotate+jwt"


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of both proofs.

    Attributes:
        aud: the station, as it calls itself in a challenge.
        client_id: of the page.
        old: the thumbprint of the key that counts no more.
        new: the thumbprint of the key that takes its place.
    """

    aud: str
    client_id: str
    old: str
    new: str


def sign_rotation(rotation: Rotation, key: ec.EllipticCurvePrivateKey) -> str:
    """The proof of one of the two keys."""
    kid = public_jwk(key).thumbprint
    return sign_jws(msgspec.json.encode(rotation), key, typ=ROTATION_TYPE, kid=kid)


def check_rotation(rotation: Rotation, key: PublicJwk, proof: str) -> None:
    """Checks the proof of one of the two keys.

    Raises:
        NotAuthenticated: it is not by this key, or not for this rotation.
    """
    try:
        payload = verify_jws(proof, key.key, typ=ROTATION_TYPE, kid=key.thumbprint)
        claims = decode_document(payload, Rotation)
    except ParseError as error:
        raise NotAuthenticated(f"the proof of a key: {error.detail}") from error
    if claims != rotation:
        raise NotAuthenticated("the proof is for another rotation")

"""Verifying the seal of a 2D-Doc: its signer, the site's trust in that signer, and the signature itself.

Rules:

- without a list, or with a signer outside it, the seal is not verified: a warning;
- a signature that does not fit the key of a trusted signer is a forgery: it is refused;
- a certificate is valid for the period of its issue. A seal of another day is not verified, with a warning.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import Certificate

from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media.medium import SEAL_CERTIFICATE_DATES, SEAL_NOT_VERIFIED, SEAL_SIGNER_UNKNOWN
from vitale_protocol.media.two_d_doc.parsing import TwoDDoc
from vitale_protocol.media.two_d_doc.trust import Signer, TrustList

__all__ = ["Seal", "verify_seal"]


@dataclass(frozen=True, slots=True)
class Seal:
    """Outcome of checking a seal.

    Attributes:
        verified: whether a trusted signer, within the time of its certificate, signed just this.
        warnings: why not; empty where it is.
    """

    verified: bool
    warnings: tuple[str, ...] = ()


_VERIFIED: Final = Seal(verified=True)


def verify_seal(document: TwoDDoc, trust: TrustList | None) -> Seal:
    """Verifies the signature of a 2D-Doc.

    Args:
        document: as parsed.
        trust: whom the site trusts; None where it has no list.

    Raises:
        PayloadInvalid: the signature is not that of the signer whom the document names; the variant is
            ``seal-forged``.
    """
    if trust is None:
        return Seal(verified=False, warnings=(SEAL_NOT_VERIFIED,))
    certificates = trust.trusted(Signer(document.authority, document.certificate))
    if not certificates:
        return Seal(verified=False, warnings=(SEAL_SIGNER_UNKNOWN,))
    signed_by = tuple(one for one in certificates if _fits(document, one))
    if not signed_by:
        raise PayloadInvalid(
            "the signature of the 2D-Doc does not fit", variant="seal-forged", data={"medium": "2d-doc"}
        )
    if not any(_in_time(document, one) for one in signed_by):
        return Seal(verified=False, warnings=(SEAL_CERTIFICATE_DATES,))
    return _VERIFIED


def _fits(document: TwoDDoc, certificate: Certificate) -> bool:
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        return False
    half = len(document.signature) // 2
    if half != (key.key_size + 7) // 8:
        return False
    r, s = (int.from_bytes(part, "big") for part in (document.signature[:half], document.signature[half:]))
    # ANTS, §3.5: the digest belongs to the curve.
    digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}.get(key.key_size, hashes.SHA256())
    try:
        key.verify(encode_dss_signature(r, s), document.covered, ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def _in_time(document: TwoDDoc, certificate: Certificate) -> bool:
    day = document.signed or document.emitted
    if day is None:
        return False
    return certificate.not_valid_before_utc.date() <= day <= certificate.not_valid_after_utc.date()

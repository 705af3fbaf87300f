"""Pairing of a page: both sides show a code from the same keys, site and two nonces.

The page commits to its nonce before it sees the station's, as in the numeric comparison of Bluetooth. So nobody in
between can search for keys that give the same six digits. The digits are no secret: the page shows them, and a person
types them at the desk.
"""

import hashlib
import hmac
from typing import Final

from vitale_protocol.errors import NotAuthenticated
from vitale_protocol.signing import base64url
from vitale_protocol.web.transcripts import digest

__all__ = ["CODE_DIGITS", "NONCE_BYTES", "check_reveal", "code", "commitment"]

NONCE_BYTES: Final = 32
CODE_DIGITS: Final = 6
_LABEL: Final = b"vr-pair-1"
# A number that JavaScript holds exactly; the digits are even to one part in 10**8.
_NUMBER_BYTES: Final = 6


def commitment(nonce_p: bytes) -> str:
    """The page's commitment to its nonce."""
    return base64url(hashlib.sha256(_LABEL + nonce_p).digest())


def check_reveal(commit: str, nonce_p: bytes) -> None:
    """Checks that a nonce is the one that the page had committed to.

    Raises:
        NotAuthenticated: it is another one.
    """
    if len(nonce_p) != NONCE_BYTES or not hmac.compare_digest(commit.encode(), commitment(nonce_p).encode()):
        raise NotAuthenticated("another nonce than the page had committed to")


def code(*, site: str, jkt_page: str, jkt_station: str, nonce_p: bytes, nonce_d: bytes) -> str:
    """The six digits of a pairing.

    Args:
        site: the web origin of the page, as the browser wrote it.
        jkt_page: the thumbprint of the page's key (RFC 7638).
        jkt_station: that of the station's identity key.
        nonce_p: the page's nonce, 32 bytes.
        nonce_d: the desk's nonce, 32 bytes.
    """
    hashed = digest(_LABEL, site.encode(), jkt_page.encode(), jkt_station.encode(), nonce_p, nonce_d)
    number = int.from_bytes(hashed[:_NUMBER_BYTES], "big") % 10**CODE_DIGITS
    return f"{number:0{CODE_DIGITS}}"

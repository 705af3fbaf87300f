"""The strings of the simulated phones: sealed for the simulated service of the same scenario, opaque to everybody else.

A string is ``VITALESIM.`` and base64url text around one AES-256-GCM message, whose key comes from the scenario's
secret. Its content has one length in all cases, so that neither bytes nor length reveal anything. Like the real one, it
means nothing without the service. Unlike the real one, which is not public, its making can be read here, and it
declares itself simulated.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError
from vitale_protocol.media.apcv import SIMULATED_PREFIX

__all__ = ["Handle", "RandomBytes", "StringSealer", "StringUnknown"]

RandomBytes = Callable[[int], bytes]
"""Gives so many bytes that nobody can guess: ``secrets.token_bytes``, or a seeded one in tests."""

_NONCE: Final = 12
# Two identifiers of 32 characters with the rest of a handle are less; JSON bears the spaces that fill it up.
_CONTENT: Final = 128


class StringUnknown(Exception):
    """The string was not made by a phone of this scenario."""


class Handle(msgspec.Struct, frozen=True, array_like=True):
    """Content of a string.

    Attributes:
        owner: the phone id of the person whose rights are meant.
        holder: the phone id that made it: the owner's own, or that of a trusted person.
        porteur: which of the owner's beneficiaries is presented.
        made_at: seconds since the epoch.
        until: seconds since the epoch; when the delegation ends under which it was made, else 0.
    """

    owner: str
    holder: str
    porteur: int
    made_at: float
    until: float = 0.0


class StringSealer:
    """Makes strings and opens them.

    Args:
        secret: the scenario's; phones and service that share it understand one another.
    """

    def __init__(self, secret: str) -> None:
        key = hashlib.sha256(b"vitale-reader simulated apCV strings\0" + secret.encode()).digest()
        self._cipher = AESGCM(key)

    def seal(self, handle: Handle, random: RandomBytes) -> bytes:
        """The string of a handle; never the same twice, as far as ``random`` never is."""
        nonce = random(_NONCE)
        content = msgspec.json.encode(handle).ljust(_CONTENT)
        return _text(nonce + self._cipher.encrypt(nonce, content, None))

    def open(self, string: bytes) -> Handle:
        """The handle in a string.

        Raises:
            StringUnknown: it is not one of this scenario.
        """
        try:
            text = string.removeprefix(SIMULATED_PREFIX)
            sealed = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if _text(sealed) != string:
                # Another writing of the same bytes would be another string to whoever remembers the used ones.
                raise StringUnknown
            content = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
            return decode_document(content, Handle)
        except (ValueError, InvalidTag, ParseError) as error:
            raise StringUnknown from error


def _text(sealed: bytes) -> bytes:
    return SIMULATED_PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=")

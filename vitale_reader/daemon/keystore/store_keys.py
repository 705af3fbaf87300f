"""The keys of what the store keeps: sealed tokens, keyed digests, keyed chains.

A station that keeps its store to itself has keys of its own (``state/station.json``). The stations of a site derive the
same ones from the key that they share. So each opens the data that another sealed, and recognises the strings that
another has seen.
"""

import hashlib
import hmac
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vitale_protocol.privacy import concealed

__all__ = ["KEY_BYTES", "Vault", "derive"]

KEY_BYTES = 32
NONCE_BYTES = 12  # AES-GCM, NIST SP 800-38D section 5.2.1.1


def derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose from a uniformly random one: one block of HKDF-Expand (RFC 5869 section 2.3)."""
    return hmac.new(key, f"vitale-reader {purpose}".encode() + b"\x01", hashlib.sha256).digest()


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """Seals and digests with the keys of one store."""

    __repr__ = concealed

    sealing: bytes
    digests: bytes
    chain: bytes
    serials: bytes
    rows: bytes

    @classmethod
    def of_station(cls, *, sealing: bytes, digests: bytes) -> "Vault":
        """The vault of a station, whose two keys are older than the others."""
        return cls(
            sealing=sealing,
            digests=digests,
            chain=derive(digests, "chain"),
            serials=derive(digests, "serials"),
            rows=derive(digests, "rows"),
        )

    @classmethod
    def of_site(cls, key: bytes) -> "Vault":
        """The vault of all the stations that hold the key of a site."""
        return cls(
            sealing=derive(key, "sealing"),
            digests=derive(key, "digests"),
            chain=derive(key, "chain"),
            serials=derive(key, "serials"),
            rows=derive(key, "rows"),
        )

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Encrypts for the store (AES-256-GCM); it opens only under the same ``bound_to``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.sealing).encrypt(nonce, plain, bound_to.encode())

    def unseal(self, sealed: bytes | None, bound_to: str) -> bytes:
        """Decrypts what ``seal`` made.

        Raises:
            cryptography.exceptions.InvalidTag: made with another key, bound to something else, or damaged.
        """
        # Whoever may alter the tables may leave out what is sealed, or put something else there.
        if not isinstance(sealed, bytes) or len(sealed) <= NONCE_BYTES:
            raise InvalidTag
        return AESGCM(self.sealing).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())

    def digest(self, kind: str, value: bytes) -> str:
        """HMAC-SHA-256 in hex by which a used string or a context's name is recognised, without being shown.

        Args:
            kind: what the value is; values of different kinds never share a digest.
            value: the string itself.
        """
        return hmac.new(self.digests, kind.encode() + b"\0" + value, hashlib.sha256).hexdigest()

    def link(self, before: bytes, content: bytes) -> bytes:
        """HMAC-SHA-256 of a row of the audit trail and of the link before it."""
        return hmac.digest(self.chain, before + content, "sha256")

    def row(self, label: str, content: bytes) -> bytes:
        """HMAC-SHA-256 of a row of the store.

        Args:
            label: the table; rows of different tables never share a seal.
            content: all that the row says.
        """
        return hmac.digest(self.rows, label.encode() + b"\0" + content, "sha256")

    def serial(self, value: bytes) -> bytes:
        """HMAC-SHA-256 of the serial of a card."""
        return hmac.digest(self.serials, value, "sha256")

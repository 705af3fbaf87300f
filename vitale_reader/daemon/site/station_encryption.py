"""Sealing for one station of a site, which alone opens it; only stations of the site can make it.

X25519 with a key of the sender's for one message, HKDF-SHA-256, AES-256-GCM. The derivation includes a digest of the
message's context under the key of the site. So a writer of the database that knows a station's public key makes nothing
that the station would open.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vitale_reader.daemon.keystore.store_keys import KEY_BYTES, Vault

__all__ = ["open_box", "public_key", "seal_for"]

PUBLIC_BYTES = 32  # RFC 7748 section 5
NONCE_BYTES = 12


def public_key(private: bytes) -> bytes:
    """Public key with which others seal for the holder of a private key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def seal_for(public: bytes, plain: bytes, *, vault: Vault, bound_to: str) -> bytes:
    """Encrypts for the station with this public key.

    Raises:
        ValueError: that is no public key.
    """
    once = X25519PrivateKey.generate()
    mine = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public))
    nonce = secrets.token_bytes(NONCE_BYTES)
    key = _key(shared, mine + public, vault, bound_to)
    return mine + nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())


def open_box(private: bytes, sealed: bytes, *, vault: Vault, bound_to: str) -> bytes:
    """Decrypts what was sealed for the holder of a private key.

    Raises:
        cryptography.exceptions.InvalidTag: it is for somebody else, bound to something else, or damaged. Or somebody
            without the key of the site sealed it.
    """
    theirs, nonce = sealed[:PUBLIC_BYTES], sealed[PUBLIC_BYTES : PUBLIC_BYTES + NONCE_BYTES]
    own = X25519PrivateKey.from_private_bytes(private)
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
        key = _key(shared, theirs + own.public_key().public_bytes_raw(), vault, bound_to)
        return AESGCM(key).decrypt(nonce, sealed[PUBLIC_BYTES + NONCE_BYTES :], bound_to.encode())
    except ValueError as error:  # too short, or a point of small order
        raise InvalidTag from error


def _key(shared: bytes, both: bytes, vault: Vault, bound_to: str) -> bytes:
    salt = bytes.fromhex(vault.digest("box", bound_to.encode()))
    return HKDF(SHA256(), KEY_BYTES, salt, b"vitale-reader box" + both).derive(shared)

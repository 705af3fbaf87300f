"""The station's secrets under a key that the keyring of the operating system holds (``[keys] keyring``).

The keyring gets 32 bytes and no more: those of some systems take no more than a password. Without its key the file of
the secrets tells nothing. A copy of it is worth nothing on another machine. Needs the extra ``[keyring]``.
"""

import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.extras import missing

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["KeyringSecrets", "Sealed", "require_keyring"]

SERVICE = "vitale-reader"
KEY_BYTES = 32
NONCE_BYTES = 12  # AES-GCM, NIST SP 800-38D section 5.2.1.1


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the file instead of the secrets; of those, ``sealed`` is None."""

    sealed: bytes | None = None


class KeyringSecrets:
    """Seals and opens with the key that the keyring keeps for one station, known there by its folder."""

    def __init__(self, folder: Path) -> None:
        self._account = str(folder)

    def seal(self, plain: bytes) -> bytes:
        """The content of the file; makes the key where there is none yet.

        Raises:
            StoreUnavailable: the keyring is locked, or there is none.
            ToolMissing: the package is not installed.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + AESGCM(self._key(make=True)).encrypt(nonce, plain, self._account.encode())
        return msgspec.json.encode(Sealed(sealed=sealed))

    def open(self, content: bytes) -> bytes:
        """The secrets.

        Raises:
            StoreUnavailable: the keyring is locked, or has another key or none: it is never made anew for a file.
            ToolMissing: the package is not installed.
        """
        nonce, sealed = content[:NONCE_BYTES], content[NONCE_BYTES:]
        try:
            return AESGCM(self._key(make=False)).decrypt(nonce, sealed, self._account.encode())
        except (InvalidTag, ValueError) as error:
            raise _unavailable("the keyring's key is not that of the station's secrets") from error

    def _key(self, *, make: bool) -> bytes:
        keyring = _keyring()
        try:
            found = keyring.get_password(SERVICE, self._account)
            if found is None and make:
                found = b64encode(secrets.token_bytes(KEY_BYTES)).decode()
                keyring.set_password(SERVICE, self._account, found)
        except keyring.errors.KeyringError as error:
            raise _unavailable(f"the keyring does not answer: {type(error).__name__}") from error
        if found is None:
            raise _unavailable("the keyring has no key of this station")
        return b64decode(found)


def require_keyring() -> None:
    """Looks whether there is a keyring, without asking it for anything.

    Raises:
        StoreUnavailable: there is none on this machine, or none that this user can reach.
        ToolMissing: the package is not installed.
    """
    if _keyring().get_keyring().priority <= 0:
        raise _unavailable("there is no keyring on this machine that could be used")


def _unavailable(detail: str) -> StoreUnavailable:
    return StoreUnavailable(detail, variant="keyring")


def _keyring() -> "ModuleType":
    try:
        import keyring  # noqa: PLC0415  loaded only where it is configured
    except ImportError as error:
        raise missing(error, "the keyring", extra="keyring", library="keyring") from error
    return keyring

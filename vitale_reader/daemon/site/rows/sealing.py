"""Seals of the rows: a row made without the site's key does not count, and is told once."""

import logging
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation.told_once import ToldOnce

__all__ = ["RowSeals"]

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)


class RowSeals:
    """Seals messages for the other desks of a site, and opens theirs."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._strange = ToldOnce()

    def sealed(self, message: msgspec.Struct, bound_to: str) -> bytes:
        """A message, sealed for its row alone."""
        return self._vault.seal(msgspec.json.encode(message), bound_to)

    def opened(self, sealed: bytes | None, bound_to: str, kind: type[T]) -> T | None:
        """The message in a row; None where no desk of this site wrote it there."""
        try:
            return decode_document(self._vault.unseal(sealed, bound_to), kind)
        except (InvalidTag, ParseError):
            if self._strange.is_due(bound_to):
                logger.error("a row of the site was not written by one of its desks: %s", bound_to)
            return None

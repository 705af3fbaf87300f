"""The stations of a site as they know one another: whose tokens are genuine, and whose clients.

A token that was made at one desk may be fetched and verified at another. A client that was paired at one desk may show
its certificate at another. Each station announces its public keys and its authority, sealed with the key of the site.
With them comes the key for sealing what only this station is to read.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, StoreUnavailable
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.removals import barred
from vitale_reader.daemon.site.station_encryption import public_key
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.notifications import call
from vitale_reader.daemon.store.sealed_table import SealedTable
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import stations

__all__ = ["Stations"]

logger = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Announcement of a station: a JWK Set's keys, a certificate in PEM, the public key of its ``Keys.agreement``."""

    keys: list[dict[str, Any]]
    authority: str
    agreement: bytes = b""


class Stations:
    """The stations of the site of ``store``; ``refresh`` tells and hears."""

    def __init__(
        self,
        store: Database,
        vault: Vault,
        keys: Keys,
        certificates: Certificates,
        *,
        name: str,
        remembered: Remembered | None = None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._keys = keys
        self._certificates = certificates
        self._name = name
        self._table = SealedTable(stations, vault, remembered or Remembered())
        self._told: Told | None = None
        self._others: dict[str, Told] = {}
        self._telling = asyncio.Lock()
        self._turn = asyncio.Lock()  # what was read first must not take the place of what was read later
        self._is_removed = False

    async def refresh(self) -> None:
        """Tells what is new here, and takes over what is new elsewhere.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        await self.tell()
        async with self._turn:
            await self._hear()

    async def _hear(self) -> None:
        found, removed = await self._store.run(
            lambda connection: (self._table.read(connection), barred(connection, self._vault)), needs="site"
        )
        if not found.trusted:
            return  # what was heard before holds: nobody can tell who is missing now
        if self._keys.station in removed and not self._is_removed:
            logger.error("this station was removed from its site: the other desks believe nothing of it any more")
        self._is_removed = self._keys.station in removed
        not_others = {self._keys.station, *removed}
        rows = [(row["station"], row["sealed"]) for row in found.rows if row["station"] not in not_others]
        self._others = {
            station: heard for station, sealed in rows if (heard := self._open(station, sealed)) is not None
        }
        self._keys.of_others = tuple(key for other in self._others.values() for key in other.keys)
        for other in self._others.values():
            self._certificates.trust(other.authority)

    async def tell(self) -> None:
        """Tells what is new here, if anything is.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        told = Told(
            keys=self._keys.own_jwks["keys"],
            authority=self._certificates.authority,
            agreement=public_key(self._keys.agreement),
        )
        async with self._telling:
            if told == self._told:
                return
            try:
                await self._store.run(lambda connection: self._tell(connection, told), needs="site")
            except StoreUnavailable as error:
                if error.variant != "tampered":
                    raise
                # Nobody hears of this desk until an administrator has looked; what others wrote is read all the same.
                logger.debug("this desk cannot tell its keys: %s", error)
            else:
                self._told = told

    def knows(self, others: Iterable[str]) -> bool:
        """True if it has heard all of these stations."""
        return self._others.keys() >= {*others} - {self._keys.station}

    def agreement(self, station: str) -> bytes:
        """The public key with which to seal for a station, this one or another.

        Raises:
            StoreUnavailable: it has not been heard.
        """
        if station == self._keys.station:
            return public_key(self._keys.agreement)
        if (told := self._others.get(station)) is None or not told.agreement:
            raise StoreUnavailable(f"station {station} has not told its keys")
        return told.agreement

    def _tell(self, connection: Connection, told: Told) -> None:
        station = self._keys.station
        sealed = self._vault.seal(msgspec.json.encode(told), f"station:{station}")
        self._table.put(connection, {"station": station, "name": self._name, "sealed": sealed})
        call(connection, "news")

    def _open(self, station: str, sealed: bytes) -> Told | None:
        try:
            return decode_document(self._vault.unseal(sealed, f"station:{station}"), Told)
        except (InvalidTag, ParseError):
            logger.error("station %s is not of this site: somebody without the key of the site wrote it", station)
            return None

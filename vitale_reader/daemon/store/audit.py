"""The audit trail: who asked for what, when, with which outcome; never about whom.

Its rows are a chain (``chain``). The end of it is written down in the station's own folder as well, from time to time:
a database that was put back to what it was is seen by that.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, StoreUnavailable
from vitale_reader.daemon.keystore.files import write_private
from vitale_reader.daemon.store.chain import Anchor, Chain, Entry
from vitale_reader.daemon.store.store import Database

__all__ = ["Audit", "Entry", "read_anchor"]

logger = logging.getLogger(__name__)

DAY = 86_400.0


class Audit:
    """The audit trail in the store.

    Args:
        store: the store.
        chain: what its rows are linked with.
        anchor: the file of the anchor.
        days: for how long it is kept.
        clock: epoch seconds.
    """

    def __init__(self, store: Database, chain: Chain, *, anchor: Path, days: int, clock: Callable[[], float]) -> None:
        self._store = store
        self._chain = chain
        self._anchor = anchor
        self._days = days
        self._clock = clock

    async def open(self) -> None:
        """Begins the chain, or finds it.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        anchored, now = self._anchor.exists(), self._clock()
        await self._store.run(lambda connection: self._chain.begin(connection, anchored=anchored, at=now))

    async def note(
        self,
        action: str,
        outcome: str,
        *,
        client_id: str | None = None,
        medium: str | None = None,
        reader: str | None = None,
    ) -> None:
        """Writes one line of something that has happened already; where it cannot be written, the log says so."""
        entry = Entry(
            at=self._clock(), action=action, outcome=outcome, client_id=client_id, medium=medium, reader=reader
        )
        try:
            await self._store.run(lambda connection: self._chain.append(connection, entry))
        except StoreUnavailable as error:
            logger.error("a line of the audit trail is lost (%s, %s): %s", action, outcome, error)

    async def purge(self) -> int:
        """Forgets the lines that are older than the retention, and drops the anchor; returns how many there were.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        count = await self._store.run(
            lambda connection: self._chain.purge(connection, self._clock() - self._days * DAY), needs="site"
        )
        await self.drop_anchor()
        return count

    async def close(self) -> None:
        """Drops the anchor a last time, as well as can be."""
        try:
            await self.drop_anchor()
        except StoreUnavailable as error:
            logger.error("where the audit trail ends could not be looked up: %s", error)

    async def drop_anchor(self) -> None:
        """Writes down where the chain ends now.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        anchor = await self._store.run(self._chain.anchor, needs="site")
        try:
            if anchor is not None:
                write_private(self._anchor, msgspec.json.encode(anchor))
        except OSError as error:
            logger.error("where the audit trail ends could not be written down: %s", error.strerror)


def read_anchor(file: Path) -> Anchor | None:
    """What a station knows of the end of its chain; None where it has written nothing down.

    Raises:
        StoreUnavailable: the file is damaged.
    """
    try:
        return decode_document(file.read_bytes(), Anchor)
    except FileNotFoundError:
        return None
    except (OSError, ParseError) as error:
        raise StoreUnavailable("the anchor of the audit trail cannot be read", data={"file": str(file)}) from error
